"""OpenIOC 1.1 (and 1.0). Source: the schema of OpenIOC 1.1.

Documents with a document type are refused: entities are how XML of strangers grows or reads files.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mig_sweep.indicator import DocumentError, Indicator, Kind, Term, in_order
from mig_sweep.recognise import address_of, refanged

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ALTERNATIVES = 2000
_KINDS = {
    "FileItem/Md5sum": Kind.HASH,
    "FileItem/Sha1sum": Kind.HASH,
    "FileItem/Sha256sum": Kind.HASH,
    "FileItem/FileName": Kind.FILE_NAME,
    "FileItem/FullPath": Kind.PATH,
    "FileItem/SizeInBytes": Kind.SIZE,
    "PortItem/remoteIP": Kind.ADDRESS,
    "PortItem/remotePort": Kind.PORT,
    "ProcessItem/name": Kind.PROCESS,
    "ProcessItem/arguments": Kind.COMMAND_LINE,
    "Network/DNS": Kind.DOMAIN,
    "DnsEntryItem/Host": Kind.DOMAIN,
    "DnsEntryItem/RecordName": Kind.DOMAIN,
    "Network/URI": Kind.URL,
    "UrlHistoryItem/URL": Kind.URL,
    "UserItem/Username": Kind.ACCOUNT,
}


def is_openioc(data: bytes) -> bool:
    """Whether it looks like one."""
    head = data[:4096].lstrip()
    return head.startswith(b"<") and (b"OpenIOC" in head or b"<ioc" in head)


def read(data: bytes, source: str) -> Iterator[Indicator]:
    """The indicators.

    Raises:
        DocumentError: it cannot be read.
    """
    refuse_document_type(data)
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  # without a document type there are no entities
    except ElementTree.ParseError as error:
        raise DocumentError(f"is no XML: {error}") from None
    name = next((one.text or "" for one in root.iter() if _tag(one) in ("short_description", "description")), "")
    for criteria in (one for one in root.iter() if _tag(one) in ("criteria", "definition")):
        for indicator in (one for one in criteria if _tag(one) == "Indicator"):
            for terms in _alternatives(indicator, 0):
                yield Indicator(in_order(terms), source, name.strip()[:200])


def refuse_document_type(data: bytes) -> None:
    """Entities are how XML of strangers grows, or reads files.

    Raises:
        DocumentError: it has a document type.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DocumentError("has a document type, which no such document needs")


def _alternatives(node: ElementTree.Element, depth: int) -> list[tuple[Term, ...]]:
    if _tag(node) == "IndicatorItem":
        return [(_term(node),)]
    if depth > 50:
        raise DocumentError("is nested too deeply")
    parts = [_alternatives(one, depth + 1) for one in node if _tag(one) in ("Indicator", "IndicatorItem")]
    if node.get("operator", "OR").upper() != "AND":
        return [one for part in parts for one in part]
    count = 1
    for part in parts:
        count *= max(1, len(part))
    if count > MOST_ALTERNATIVES:
        raise DocumentError(f"has more than {MOST_ALTERNATIVES} alternatives")
    combinations = product(*(part for part in parts if part))
    return [tuple(term for one in combination for term in one) for combination in combinations]


def _term(item: ElementTree.Element) -> Term:
    context = next((one.get("search", "") for one in item if _tag(one) == "Context"), "")
    value = refanged(next((one.text or "" for one in item if _tag(one) == "Content"), ""))
    condition = item.get("condition", "is")
    kind = _KINDS.get(context)
    if kind is None or not value:
        return Term(Kind.OTHER, f"{context}: no module is asked about that")
    if item.get("negate", "false").lower() == "true" or condition not in ("is", "contains", "matches"):
        return Term(Kind.OTHER, f"{context} {condition}: this comparison cannot be asked")
    if condition == "matches" and kind is Kind.FILE_NAME:
        return Term(Kind.FILE_PATTERN, value)
    if condition != "is" and kind not in (Kind.DOMAIN, Kind.URL, Kind.COMMAND_LINE):
        return Term(Kind.OTHER, f"{context} {condition}: this comparison cannot be asked")
    if kind is Kind.HASH:
        value = value.lower()
    if kind is Kind.ADDRESS and not (value := address_of(value)):
        return Term(Kind.OTHER, f"{context}: is no address")
    return Term(kind, value)


def _tag(node: ElementTree.Element) -> str:
    return str(node.tag).rpartition("}")[2]
