"""Finds out what a document is, and reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mig_sweep.documents import advisories, inventories, lists, misp, openioc, stix
from mig_sweep.documents.fields import mappings
from mig_sweep.indicator import DocumentError, Indicator, Kind, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

MAX_BYTES = 256 << 20
"""Of a document."""
MAX_FILES = 10_000
_RULES = (".yar", ".yara")


def read_all(paths: Iterable[str], now: datetime) -> Iterator[Indicator]:
    """The indicators of documents, and of all in directories.

    Raises:
        DocumentError: one cannot be read; names it.
    """
    for path in _files(paths):
        try:
            yield from _read(path, now)
        except DocumentError as error:
            raise DocumentError(f"{path}: {error}") from None
        except OSError as error:
            raise DocumentError(f"{path}: {error.strerror or error}") from None
        except RecursionError:
            raise DocumentError(f"{path}: is nested too deeply") from None


def _files(paths: Iterable[str]) -> Iterator[Path]:
    count = 0
    for one in map(Path, paths):
        found = sorted(each for each in one.rglob("*") if each.is_file()) if one.is_dir() else [one]
        for path in found:
            count += 1
            if count > MAX_FILES:
                raise DocumentError(f"{one}: more than {MAX_FILES} documents")
            yield path


def _read(path: Path, now: datetime) -> Iterator[Indicator]:
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES >> 20} MiB")
    source = path.name
    if openioc.is_openioc(data):
        yield from openioc.read(data, source)
        return
    if inventories.is_cyclonedx_xml(data):
        yield from inventories.read_xml(data, source)
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError("is neither UTF-8 text nor a document that is known") from None
    if text.lstrip().startswith("<?xml"):
        raise DocumentError("is XML of a kind that is not known: neither OpenIOC nor CycloneDX")
    if path.suffix.casefold() in _RULES:
        yield Indicator((Term(Kind.YARA, text),), source, source)
    elif text.lstrip()[:1] in ("{", "["):
        yield from _of_json(text, source, now)
    elif lists.is_table(text):
        yield from lists.read_table(text, source)
    else:
        yield from lists.read_list(text, source)


def _of_json(text: str, source: str, now: datetime) -> Iterator[Indicator]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"is no JSON: {error}") from None
    known = False
    for one in mappings(document):
        known = True
        if stix.is_stix(one):
            yield from stix.read(one, source, now)
        elif misp.is_misp(one):
            yield from misp.read(one, source)
        elif inventories.is_inventory(one):
            yield from inventories.read(one, source)
        elif advisories.is_advisory(one):
            yield from advisories.read(one, source)
        else:
            raise DocumentError("is JSON of a kind that is not known: neither STIX, MISP, CycloneDX, SPDX nor OSV")
    if isinstance(document, list) and all(isinstance(one, str) for one in document):
        known = True
        for value in document:
            yield from lists.of_value(value, source, "")
    if not known:
        raise DocumentError("is JSON of a kind that is not known: neither STIX, MISP, CycloneDX, SPDX nor OSV")
