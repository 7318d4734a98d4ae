"""OpenIOC 1.1 (and 1.0). Source: the schema of OpenIOC 1.1."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from mig_sweep.documents.elements import root_of, tag
from mig_sweep.indicator import DocumentError, Indicator, Kind, Term, in_order
from mig_sweep.recognise import address_of, refanged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree

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
    root = root_of(data)
    name = next((one.text or "" for one in root.iter() if tag(one) in ("short_description", "description")), "")
    for criteria in (one for one in root.iter() if tag(one) in ("criteria", "definition")):
        for indicator in (one for one in criteria if tag(one) == "Indicator"):
            for terms in _alternatives(indicator, 0):
                yield Indicator(in_order(terms), source, name.strip()[:200])


def _alternatives(node: ElementTree.Element, depth: int) -> list[tuple[Term, ...]]:
    if tag(node) == "IndicatorItem":
        return [(_term(node),)]
    if depth > 50:
        raise DocumentError("is nested too deeply")
    parts = [_alternatives(one, depth + 1) for one in node if tag(one) in ("Indicator", "IndicatorItem")]
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
    context = next((one.get("search", "") for one in item if tag(one) == "Context"), "")
    value = refanged(next((one.text or "" for one in item if tag(one) == "Content"), ""))
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
