"""Source: apk (Alpine). Its installed database is a file of records with one-letter fields (apk-installed(5)).

Newer versions keep it below ``/usr``; where both places hold one, both are read.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import program, reasons
from mig_pkg.package import Package, is_usable, text
from mig_pkg.records import records_of
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

DATABASES = ("/usr/lib/apk/db/installed", "/lib/apk/db/installed")
MAX_DATABASE = 256 << 20
_FIELDS = {"P", "V", "A", "o"}


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in the databases' order; None when there is no apk here."""
    databases = site.tree.distinct(DATABASES)
    if not databases or not program.allows(site, "apk"):
        return None
    return itertools.chain.from_iterable(_read(site, database) for database in databases)


def _read(site: Site, database: str) -> Iterator[Package]:
    count = 0
    for record in records_of(site, database, MAX_DATABASE):
        package = _package(record)
        if package is None:
            site.tally.skip(reasons.DAMAGED, database)
            continue
        count += 1
        if count > MAX_PACKAGES:
            site.tally.skip(reasons.TOO_MANY, database)
            return
        yield package


def _package(record: bytes) -> Package | None:
    fields: dict[str, str] = {}
    for line in record.split(b"\n"):
        if line[1:2] != b":":
            return None
        letter = chr(line[0])
        if letter in _FIELDS and letter not in fields:
            fields[letter] = text(line[2:])
        elif letter == "F":  # the list of files follows; the package's own fields come before it
            break
    name, version, arch = fields.get("P", ""), fields.get("V", ""), fields.get("A", "")
    if not version or not is_usable(name, version, arch):
        return None
    return Package(name=name, plain=name, version=version, type="apk", arch=arch, source=fields.get("o", "")[:500])


SOURCE = Source("apk", ("installed",), tuple(os.path.dirname(one) for one in DATABASES), ("source",), installed)
