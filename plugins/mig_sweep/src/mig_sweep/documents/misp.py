"""MISP events as JSON. Source: the MISP core format (draft-08), and MISP's list of attribute types."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mig_sweep.documents.fields import mappings, text
from mig_sweep.indicator import Indicator, Kind, Term, in_order
from mig_sweep.recognise import address_of, refanged

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")
_KINDS = {
    **dict.fromkeys(_HASHES, Kind.HASH),
    "filename": Kind.FILE_NAME,
    "ip-src": Kind.ADDRESS,
    "ip-dst": Kind.ADDRESS,
    "port": Kind.PORT,
    "domain": Kind.DOMAIN,
    "hostname": Kind.DOMAIN,
    "url": Kind.URL,
    "uri": Kind.URL,
    "yara": Kind.YARA,
    "size-in-bytes": Kind.SIZE,
    "ssh-fingerprint": Kind.SSH_KEY,
    "github-username": Kind.OTHER,
    "process-name": Kind.PROCESS,
    "target-user": Kind.ACCOUNT,
}

_PAIRS = {"malware-sample": "filename|md5"}
"""Types whose values are two, which their names do not show."""


def is_misp(document: Any) -> bool:
    """Whether it is an event, or an answer with events or attributes; pymisp takes what is around them off."""
    if not isinstance(document, dict):
        return False
    return "Event" in document or "response" in document or isinstance(document.get("Attribute"), list)


def read(document: dict[str, Any], source: str) -> Iterator[Indicator]:
    """The indicators of the events."""
    for outer in mappings(document.get("response") or document):
        for event in mappings(outer if "info" in outer else outer.get("Event")):
            title = text(event.get("info"))
            labels = _tags(event)
            for attribute in mappings(event.get("Attribute")):
                yield from _of_attribute(attribute, source, title, labels)
            for one in mappings(event.get("Object")):
                yield from _of_object(one, source, title, labels)
        for attribute in mappings(None if "info" in outer else outer.get("Attribute")):  # of a search for attributes
            title = next((text(event.get("info")) for event in mappings(attribute.get("Event"))), "")
            yield from _of_attribute(attribute, source, title, ())


def read_row(cells: dict[str, str], source: str, labels: tuple[str, ...]) -> Iterator[Indicator]:
    """The indicator of a row of MISP's export as CSV."""
    attribute = {"type": cells.get("type", ""), "value": cells.get("value", ""), "comment": cells.get("comment", "")}
    yield from _of_attribute({**attribute, "to_ids": cells.get("to_ids") != "0"}, source, "", labels)


def _of_object(one: dict[str, Any], source: str, title: str, labels: tuple[str, ...]) -> Iterator[Indicator]:
    """A file object says its size beside its hashes: what is cheap is looked at first."""
    gone = {"deleted": True} if _is_deleted(one) else {}
    attributes = [{**each, **gone} for each in mappings(one.get("Attribute"))]
    sizes = (each for each in attributes if each.get("type") == "size-in-bytes" and not _is_deleted(each))
    size = next((text(each.get("value")) for each in sizes), "")
    for attribute in attributes:
        for found in _of_attribute(attribute, source, title, labels):
            if found.kind is Kind.SIZE:
                continue
            if found.kind is Kind.HASH and size.isdigit():
                yield replace(found, terms=(*found.terms, Term(Kind.SIZE, size)))
            else:
                yield found


def _of_attribute(attribute: dict[str, Any], source: str, title: str, labels: tuple[str, ...]) -> Iterator[Indicator]:
    value, kind = text(attribute.get("value")), text(attribute.get("type"))
    kinds = _PAIRS.get(kind, kind).split("|")
    values = value.rsplit("|", 1) if len(kinds) > 1 else [value]  # a file's name may have the mark in it
    terms = [_term(kind, one) for kind, one in zip(kinds, values, strict=False) if one]
    known = in_order(one for one in terms if one is not None)
    own = (*labels, *_tags(attribute))
    name = text(attribute.get("comment")) or title
    if not known:
        plain = Indicator((Term(Kind.OTHER, f"{'|'.join(kinds)} {value[:100]}"),), source, name, "", own)
        yield plain.refuse(f"no module is asked about attributes of type {'|'.join(kinds)!r:.60}")
        return
    found = Indicator(known, source, name, "", own)
    if _is_deleted(attribute):
        found = found.refuse("it was deleted in MISP")
    elif attribute.get("to_ids") is False:
        found = found.refuse("the event says that it is no sign by itself (to_ids is false)")
    yield found


def _is_deleted(one: dict[str, Any]) -> bool:
    """Attributes and objects that were taken back stay in the event, for servers that have them already."""
    return one.get("deleted") in (True, "1", "true")


def _term(kind: str, value: str) -> Term | None:
    known = _KINDS.get(kind)
    value = value if kind == "yara" else refanged(value)
    if known is Kind.ADDRESS:
        address = address_of(value)
        return Term(known, address) if address else None
    if known is Kind.HASH:
        return Term(known, value.lower())
    if known is Kind.FILE_NAME and value.startswith("/"):
        return Term(Kind.PATH, value)
    return Term(known, value) if known is not None else None


def _tags(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(text(tag.get("name")) for tag in mappings(one.get("Tag")) if tag.get("name"))[:20]
