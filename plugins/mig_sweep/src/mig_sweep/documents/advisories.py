"""Packages: CycloneDX and SPDX inventories, and OSV advisories. Sources: CycloneDX 1.6, SPDX 2.3, OSV schema 1.7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_sweep.documents.fields import mappings, text
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.recognise import ECOSYSTEMS, package_of_purl

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_VERSIONS = 5000


def is_advisory(document: Any) -> bool:
    """Whether it is one of them."""
    if not isinstance(document, dict):
        return False
    return document.get("bomFormat") == "CycloneDX" or "spdxVersion" in document or "affected" in document


def read(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    """The packages."""
    if "affected" in document:
        yield from _osv(document, source)
        return
    cyclone = document.get("bomFormat") == "CycloneDX"
    for one in mappings(document.get("components" if cyclone else "packages")):
        purl = text(one.get("purl")) or next(
            (
                text(each.get("referenceLocator"))
                for each in mappings(one.get("externalRefs"))
                if each.get("referenceType") == "purl"
            ),
            "",
        )
        terms = package_of_purl(purl)
        if not terms and text(one.get("name")):
            version = text(one.get("version" if cyclone else "versionInfo"))
            terms = (Term(Kind.PACKAGE, text(one.get("name"))), *((Term(Kind.VERSION, version),) if version else ()))
        if terms:
            yield Indicator(terms, source, text(document.get("name")) or text(document.get("serialNumber")))


def _osv(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    name = text(document.get("id"))
    for affected in mappings(document.get("affected")):
        package = next(mappings(affected.get("package")), {})
        ecosystem = ECOSYSTEMS.get(text(package.get("ecosystem")).casefold().partition(":")[0], "")
        kind = (Term(Kind.ECOSYSTEM, ecosystem),) if ecosystem else ()
        title = Term(Kind.PACKAGE, text(package.get("name")))
        if not title.value:
            continue
        versions = affected.get("versions")
        listed = [text(one) for one in versions if text(one)] if isinstance(versions, list) else []
        for version in listed[:MOST_VERSIONS]:
            yield Indicator((title, Term(Kind.VERSION, version), *kind), source, name)
        if len(listed) > MOST_VERSIONS:
            yield Indicator((title, *kind), source, name).refuse(f"more than {MOST_VERSIONS} versions")
        ranges = [condition for one in mappings(affected.get("ranges")) for condition in _ranges(one)]
        if not listed:
            for condition in ranges:
                limits = (Term(Kind.VERSION, condition),) if condition else ()
                note = "versions are compared number by number"
                yield Indicator((title, *limits, *kind), source, name, note=note)
            if not ranges:
                yield Indicator((title, *kind), source, name)


def _ranges(one: dict[str, Any]) -> Iterator[str]:
    """Events as conditions: ``>=1.0,<1.4``; empty for every version."""
    if one.get("type") == "GIT":
        return
    lower, pending = "", False
    for event in mappings(one.get("events")):
        if "introduced" in event:
            version = text(event["introduced"])
            lower = f">={version}" if version != "0" else ""
            pending = True
        elif "fixed" in event or "last_affected" in event:
            upper = f"<{text(event['fixed'])}" if "fixed" in event else f"<={text(event['last_affected'])}"
            yield ",".join(part for part in (lower, upper) if part)
            pending = False
    if pending:
        yield lower
