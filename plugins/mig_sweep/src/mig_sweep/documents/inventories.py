"""Inventories: CycloneDX (JSON and XML) and SPDX (JSON). Sources: CycloneDX 1.6, SPDX 2.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_sweep.documents.elements import root_of, tag
from mig_sweep.documents.fields import mappings, text
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.recognise import package_of_purl

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_inventory(document: Any) -> bool:
    """Whether it is one of them."""
    return isinstance(document, dict) and (document.get("bomFormat") == "CycloneDX" or "spdxVersion" in document)


def read(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    """The packages."""
    cyclone = document.get("bomFormat") == "CycloneDX"
    name = text(document.get("name")) or text(document.get("serialNumber"))
    for one in _components(document) if cyclone else mappings(document.get("packages")):
        terms = package_of_purl(_purl_of(one)) or _named(one, "version" if cyclone else "versionInfo")
        if terms:
            yield Indicator(terms, source, name)


def is_cyclonedx_xml(data: bytes) -> bool:
    """Whether it looks like CycloneDX as XML."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"<") and b"cyclonedx.org/schema/bom" in head


def read_xml(data: bytes, source: str) -> Iterator[Indicator]:
    """The packages, those inside others too.

    Raises:
        DocumentError: it cannot be read.
    """
    root = root_of(data)
    tools = {id(one) for tool in root.iter() if tag(tool) in ("tools", "metadata") for one in tool.iter()}
    for one in root.iter():
        if tag(one) == "component" and id(one) not in tools:
            said = {tag(part): (part.text or "").strip() for part in one}
            terms = package_of_purl(said.get("purl", "")) or _named(dict(said), "version")
            if terms:
                yield Indicator(terms, source, root.get("serialNumber", ""))


def _components(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All components of a CycloneDX document: they may have others in them, which some tools make of dependencies."""
    waiting = [document]
    while waiting:
        for one in mappings(waiting.pop().get("components")):
            yield one
            waiting.append(one)


def _purl_of(one: dict[str, Any]) -> str:
    references = mappings(one.get("externalRefs"))
    kept = (text(each.get("referenceLocator")) for each in references if each.get("referenceType") == "purl")
    return text(one.get("purl")) or next(kept, "")


def _named(one: dict[str, Any], key: str) -> tuple[Term, ...]:
    """By name and version, where there is no package URL. The scope of an npm package is CycloneDX's group."""
    name, group, version = text(one.get("name")), text(one.get("group")), text(one.get(key))
    if not name:
        return ()
    name = f"{group}/{name}" if group.startswith("@") and not name.startswith("@") else name
    return (Term(Kind.PACKAGE, name), *((Term(Kind.VERSION, version),) if version else ()))
