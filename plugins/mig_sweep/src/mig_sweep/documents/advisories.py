"""OSV advisories. Source: OSV schema 1.7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_sweep.documents.fields import mappings, text
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.recognise import ECOSYSTEMS
from mig_sweep.versions import in_order, is_affected

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_VERSIONS = 5000
_SYSTEMS = frozenset({"dpkg", "rpm", "apk"})
"""Of distributions: their advisories name the source package, as OSV's list of ecosystems says (Red Hat's either)."""


def is_advisory(document: Any) -> bool:
    """Whether it is one of them."""
    return isinstance(document, dict) and "affected" in document


def read(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    """The packages and the versions that it says are affected."""
    for one in _read(document, source):
        yield one.refuse("the advisory was withdrawn") if text(document.get("withdrawn")) else one


def _read(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    for affected in mappings(document.get("affected")):
        package = next(mappings(affected.get("package")), {})
        ecosystem, _, release = text(package.get("ecosystem")).partition(":")
        known = ECOSYSTEMS.get(ecosystem.casefold(), "")
        title = Term(Kind.SOURCE if known in _SYSTEMS else Kind.PACKAGE, text(package.get("name")))
        if not title.value:
            continue
        name = f"{text(document.get('id'))} of {ecosystem} {release}" if release else text(document.get("id"))
        beside = (Term(Kind.ECOSYSTEM, known),) if known else ()
        for condition in _conditions(affected, known):
            limits = (Term(Kind.VERSION, condition),) if condition else ()
            yield Indicator((title, *limits, *beside), source, name, note=_note(ecosystem, release, known))
        if _listed(affected)[MOST_VERSIONS:]:
            yield Indicator((title, *beside), source, name).refuse(f"more than {MOST_VERSIONS} versions")


def _note(ecosystem: str, release: str, known: str) -> str:
    if known in _SYSTEMS and release:
        return "an advisory of a distribution is about one release of it, and endpoints of others are asked too"
    return "" if known else f"versions of {ecosystem or 'an ecosystem without a name'} are compared number by number"


def _listed(affected: dict[str, Any]) -> list[str]:
    versions = affected.get("versions")
    return [text(one) for one in versions if text(one)] if isinstance(versions, list) else []


def _conditions(affected: dict[str, Any], kind: str) -> Iterator[str]:
    """Affected is what is in a range *or* in the list of versions; empty for every version."""
    listed = _listed(affected)
    ranges = list(dict.fromkeys(one for each in mappings(affected.get("ranges")) for one in _ranges(each, kind)))
    yield from ranges
    if not ranges and not listed:
        yield ""
    for version in dict.fromkeys(listed[:MOST_VERSIONS]):
        if not any(not one or is_affected(version, one, kind) for one in ranges):
            yield version


def _ranges(one: dict[str, Any], kind: str) -> Iterator[str]:
    """Events as conditions: ``>=1.0,<1.4``. They need not be sorted; without a beginning it is the first version."""
    if one.get("type") == "GIT":
        return
    events = _events(one, kind)
    lower = None if any(what == "introduced" for _, what in events) else "0"
    for version, what in events:
        if what == "introduced":
            lower = version if lower is None else lower
        elif lower is not None:
            yield ",".join((*_at_least(lower), f"{'<' if what == 'fixed' else '<='}{version}"))
            lower = None
    if lower is not None:
        yield "".join(_at_least(lower))


def _at_least(version: str) -> tuple[str, ...]:
    return () if version == "0" else (f">={version}",)


def _events(one: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    words = ("introduced", "fixed", "last_affected")
    found = [(text(event[what]), what) for event in mappings(one.get("events")) for what in words if what in event]
    place = {version: number for number, version in enumerate(in_order({version for version, _ in found}, kind))}
    return sorted(found, key=lambda event: (event != ("0", "introduced"), place[event[0]]))
