"""Source: apk (Alpine). Its installed database is a file of records with one-letter fields (apk-installed(5)).

Newer versions keep it below ``/usr``; where both places hold one, both are read.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mig_pkg import tally as books
from mig_pkg.package import Package, is_usable, text
from mig_pkg.records import records
from mig_pkg.status_file import MAX_PACKAGES
from mig_pkg.tree import TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_pkg.site import Site

DATABASES = ("/usr/lib/apk/db/installed", "/lib/apk/db/installed")
MAX_DATABASE = 256 << 20
_FIELDS = {"P", "V", "A", "o"}


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in the databases' order; None when there is no apk here."""
    databases = site.tree.distinct(DATABASES)
    if not databases or not site.allows("apk"):
        return None
    return itertools.chain.from_iterable(_read(site, database) for database in databases)


def _read(site: Site, database: str) -> Iterator[Package]:
    count = 0
    try:
        for place, record in enumerate(records(site.tree.chunks(database, MAX_DATABASE))):
            if place % 256 == 0:
                site.check_time()
            package = _package(record)
            if package is None:
                site.tally.skip(books.DAMAGED, database)
                continue
            count += 1
            if count > MAX_PACKAGES:
                site.tally.skip(books.TOO_MANY, database)
                return
            yield package
    except TooLarge:
        site.tally.failed(books.TOO_LARGE, database, f"is larger than {MAX_DATABASE} bytes")
    except OSError as error:
        site.tally.failed(books.UNREADABLE, database, error.strerror or str(error))


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
