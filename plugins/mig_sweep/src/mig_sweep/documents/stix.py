"""STIX 2.1 bundles: indicators with a STIX pattern or with YARA rules. Source: STIX 2.1, section 4.7."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mig_sweep.documents.fields import mappings, text, texts
from mig_sweep.documents.patterns import asked_of
from mig_sweep.indicator import DocumentError, Indicator, Kind, Term

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def is_stix(document: Any) -> bool:
    """Whether it is a bundle, or one indicator."""
    return isinstance(document, dict) and document.get("type") in ("bundle", "indicator")


def read(document: dict[str, Any], source: str, now: datetime) -> Iterator[Indicator]:
    """The indicators of a bundle, which may hold several versions of one: the newest counts, above all a revocation."""
    objects = document.get("objects") if document.get("type") == "bundle" else document
    indicators = [one for one in mappings(objects) if one.get("type") == "indicator"]
    newest: dict[str, datetime] = {}
    for one in indicators:
        identity = text(one.get("id"))
        newest[identity] = max(newest.get(identity, _BEGINNING), _moment(one))
    for one in indicators:
        identity = text(one.get("id"))
        is_old = bool(identity) and _moment(one) < newest[identity]
        for found in _of_object(one, source, now):
            yield found.refuse("a newer version of it is in the document") if is_old else found


def _moment(one: dict[str, Any]) -> datetime:
    """When this version was made."""
    try:
        moment = datetime.fromisoformat(text(one.get("modified")))
    except ValueError:
        return _BEGINNING
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_object(one: dict[str, Any], source: str, now: datetime) -> Iterator[Indicator]:
    pattern, kind = text(one.get("pattern")), text(one.get("pattern_type")) or "stix"
    common = {
        "source": source,
        "name": text(one.get("name")) or text(one.get("id")),
        "confidence": text(one.get("confidence")),
        "labels": texts(one.get("labels")) or texts(one.get("indicator_types")),
    }
    plain = Indicator((Term(Kind.OTHER, pattern[:200]),), **common)  # type: ignore[arg-type]  # each of its field's type
    if one.get("revoked") is True:
        yield plain.refuse("it was revoked")
        return
    if _has_passed(text(one.get("valid_until")), now):
        yield plain.refuse(f"it was valid until {text(one.get('valid_until'))}")
        return
    if kind == "yara":
        yield Indicator((Term(Kind.YARA, pattern),), **common)  # type: ignore[arg-type]  # as above
        return
    if kind != "stix":
        yield plain.refuse(f"patterns of type {kind!r:.40} are not asked")
        return
    try:
        asked = asked_of(pattern)
    except DocumentError as error:
        yield plain.refuse(str(error))
        return
    for terms in asked.alternatives:
        yield Indicator(terms, note=asked.note, **common)  # type: ignore[arg-type]  # as above


def _has_passed(moment: str, now: datetime) -> bool:
    try:
        until = datetime.fromisoformat(moment)
    except ValueError:
        return False
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) < now
