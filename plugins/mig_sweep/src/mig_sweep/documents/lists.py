"""Plain lists, one value a line, and tables (CSV) with a header."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mig_sweep.documents import misp
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.recognise import ECOSYSTEMS, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUES = frozenset(
    {
        *("indicator", "ioc", "value", "observable", "hash", "md5", "sha1", "sha256", "sha384", "sha512", "ip"),
        *(
            "address",
            "ip_address",
            "ipv4",
            "ipv6",
            "domain",
            "hostname",
            "url",
            "path",
            "filename",
            "file_name",
            "fingerprint",
        ),
        *("package", "purl", "account", "user", "username", "process"),
    }
)
_HASHES = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})
"""Columns that say which hash it is."""
_CONFIDENCE = frozenset({"confidence", "score"})
_LABELS = frozenset({"label", "labels", "tag", "tags", "malware", "family", "threat", "campaign"})
_NAMES = frozenset({"name", "description", "comment", "id", "title"})
_SIZES = frozenset({"size", "filesize", "file_size"})
_PORTS = frozenset({"port", "dst_port", "destination_port"})
_VERSIONS = frozenset({"version", "package_version"})
_KINDS = {
    "filename": Kind.FILE_NAME,
    "file_name": Kind.FILE_NAME,
    "account": Kind.ACCOUNT,
    "user": Kind.ACCOUNT,
    "username": Kind.ACCOUNT,
    "process": Kind.PROCESS,
}
"""Columns whose values do not show what they are."""
_TYPES = frozenset({"type", "hash_type", "indicator_type", "ioc_type", "algorithm"})
_OTHER_HASHES = re.compile(
    r"(?:file_?hash_?)?(imphash|authentihash|pehash|impfuzzy|ssdeep|tlsh|vhash|telfhash|sha3_?(?:224|256|384|512))"
)
"""Names of hashes that files are not compared by; some are as long as one that they are."""
_DASHED = re.compile(r"sha[-_](1|256|384|512)")
_MISP = frozenset({"type", "value", "to_ids"})
"""Columns of MISP's own tables: there the type says what a value is, and to_ids whether it is a sign."""


def read_list(text: str, source: str) -> Iterator[Indicator]:
    """The values of a list. Lines that begin with ``#`` are comments, and so is what follows `` #``."""
    for number, line in enumerate(text.splitlines(), 1):
        value, _, comment = line.strip().partition(" #")
        if value.strip() and not value.startswith("#"):
            yield from of_value(value.strip(), source, comment.strip() or f"line {number}")


def of_value(
    value: str, source: str, name: str, confidence: str = "", labels: tuple[str, ...] = ()
) -> Iterator[Indicator]:
    """What a bare value may be."""
    found = recognise(value)
    if not found:
        plain = Indicator((Term(Kind.OTHER, value[:200]),), source, name, confidence, labels)
        yield plain.refuse("it is not seen what it is; a table (CSV) can say so in its header")
    for terms in found:
        yield Indicator(terms, source, name, confidence, labels)


def is_table(text: str) -> bool:
    """Whether the first line is a header with a column that is known."""
    first = text.split("\n", 1)[0]
    return any(mark in first for mark in ",;\t") and bool(_VALUES & set(_header(first)))


def read_table(text: str, source: str) -> Iterator[Indicator]:
    """The values of a table's known columns."""
    lines = text.split("\n", 1)
    mark = max(",;\t", key=lines[0].count)
    header = _header(lines[0])
    rows = csv.DictReader(io.StringIO(text), delimiter=mark, fieldnames=header, skipinitialspace=True)
    for number, row in enumerate(rows):
        if number == 0:
            continue
        texts = {key: value.strip() for key, value in row.items() if isinstance(key, str) and isinstance(value, str)}
        cells = {key: value for key, value in texts.items() if key and value}
        name = next((cells[one] for one in _NAMES & set(cells)), f"line {number + 1}")
        confidence = next((cells[one] for one in _CONFIDENCE & set(cells)), "")
        labels = tuple(cells[one] for one in sorted(_LABELS & set(cells)))
        if set(header) >= _MISP:
            yield from misp.read_row(cells, source, labels)
            continue
        beside = _beside(cells)
        kind = next((said[1] for one in sorted(_TYPES & set(cells)) if (said := _other_hash(cells[one]))), "")
        for column in filter(_other_hash, cells):
            yield _not_compared(column, Indicator((Term(Kind.OTHER, cells[column][:200]),), source, name))
        for column in (one for one in cells if one in _VALUES):
            if column in _KINDS:
                found = [Indicator((Term(_KINDS[column], cells[column]),), source, name, confidence, labels)]
            elif column == "package" and Kind.PACKAGE not in {one[0].kind for one in recognise(cells[column])}:
                found = [Indicator((Term(Kind.PACKAGE, cells[column]),), source, name, confidence, labels)]
            else:
                found = list(of_value(cells[column], source, name, confidence, labels))
            for one in found:
                if kind and one.kind is Kind.HASH and column not in _HASHES:
                    yield _not_compared(kind, one)
                    continue
                more = beside.get(one.kind, ()) if len(one.terms) == 1 and not one.refused else ()
                yield replace(one, terms=(*one.terms, *more))


def _other_hash(name: str) -> re.Match[str] | None:
    return _OTHER_HASHES.fullmatch(name.casefold().replace("-", "_").replace(" ", "_"))


def _not_compared(name: str, one: Indicator) -> Indicator:
    return one.refuse(f"no module compares files by their {name}")


def _beside(cells: dict[str, str]) -> dict[Kind, tuple[Term, ...]]:
    """What a row says of a value in other columns, by the kind of value that it may be about."""
    size = (Term(Kind.SIZE, cells[one]) for one in sorted(_SIZES & set(cells)) if cells[one].isdigit())
    port = (Term(Kind.PORT, cells[one]) for one in sorted(_PORTS & set(cells)) if cells[one].isdigit())
    version = [Term(Kind.VERSION, cells[one]) for one in sorted(_VERSIONS & set(cells))]
    known = ECOSYSTEMS.get(cells.get("ecosystem", "").partition(":")[0].casefold(), "")
    package = [*version[:1], *([Term(Kind.ECOSYSTEM, known)] if known else [])]
    return {Kind.HASH: tuple(size)[:1], Kind.ADDRESS: tuple(port)[:1], Kind.PACKAGE: tuple(package)}


def _header(line: str) -> list[str]:
    mark = max(",;\t", key=line.count)
    names = (one.strip().strip("\ufeff\"'").casefold().replace(" ", "_") for one in line.split(mark))
    return [_DASHED.sub(r"sha\1", one) for one in names]
