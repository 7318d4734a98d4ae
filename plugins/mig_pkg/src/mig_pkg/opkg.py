"""Source: opkg (OpenWrt, Yocto, Entware). Its status file has records like dpkg's, with words of its own for states."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import program, reasons
from mig_pkg.package import Package, is_usable, text
from mig_pkg.records import records_of
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

PLACES = ("/usr/lib/opkg", "/var/lib/opkg", "/lib/opkg", "/opt/lib/opkg")
MAX_DATABASE = 64 << 20
ABSENT = frozenset({"not-installed", "config-files", "post-inst-failed-removed"})
_FIELD = re.compile(rb"^(Package|Version|Architecture|Status):[ \t]*([^\n]*)", re.MULTILINE)


def installed(site: Site) -> Iterator[Package] | None:
    """The packages in the databases' order; None when there is no opkg here."""
    databases = site.tree.distinct(f"{place}/status" for place in PLACES)
    if not databases or not program.allows(site, "opkg"):
        return None
    return itertools.chain.from_iterable(_read(site, database) for database in databases)


def _read(site: Site, database: str) -> Iterator[Package]:
    for count, record in enumerate(records_of(site, database, MAX_DATABASE)):
        if count >= MAX_PACKAGES:
            site.tally.skip(reasons.TOO_MANY, database)
            return
        package = _package(record)
        if package is None:
            site.tally.skip(reasons.DAMAGED, database)
        elif package.state not in ABSENT:
            yield package


def _package(record: bytes) -> Package | None:
    fields = {found[1]: text(found[2]).strip() for found in _FIELD.finditer(record)}
    name, version, arch = (fields.get(key, "") for key in (b"Package", b"Version", b"Architecture"))
    states = fields.get(b"Status", "").split()
    if len(states) != 3 or not is_usable(name, version, arch):
        return None
    return Package(name=name, plain=name, version=version, type="opkg", arch=arch, state=states[2])


SOURCE = Source("opkg", ("status",), PLACES, ("state",), installed)
