"""Source: pacman (Arch). Its local database is a directory for each package with a file ``desc`` in it.

The directory's name is the authority for name and version, as it is for ``pacman -Q`` (6.0.2), which lists a package
whose ``desc`` says something else, or is missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import program, reasons
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

DATABASE = "/var/lib/pacman"
CONFIGURATION = "/etc/pacman.conf"
VERSION_FILE = "ALPM_DB_VERSION"
MAX_DESCRIPTION = 1 << 16
_DATABASE_PATH = re.compile(rb"^\s*DBPath\s*=\s*(/\S*)", re.MULTILINE)
_FIELD = re.compile(rb"^%(ARCH|BASE)%\n([^\n]*)", re.MULTILINE)


def installed(site: Site) -> Iterator[Package] | None:
    """The packages, sorted by name; None when there is no pacman here."""
    directory = f"{_database(site)}/local"
    if not site.tree.exists(directory) or not program.allows(site, "pacman"):
        return None
    return _read(site, directory)


def _database(site: Site) -> str:
    """The directory that pacman's configuration names, or the usual one."""
    try:
        found = _DATABASE_PATH.search(site.head(CONFIGURATION, 1 << 16))
    except OSError:
        found = None
    return text(found[1]).rstrip("/") if found else DATABASE


def _read(site: Site, directory: str) -> Iterator[Package]:
    names: list[str] = []
    with site.booked(directory):
        names = site.tree.names(directory)
    found = []
    for name in names[:MAX_PACKAGES]:
        site.check_time()
        path = f"{directory}/{name}/desc"
        if name == VERSION_FILE:
            continue
        with site.booked(path):
            package = _package(name, _description(site, path))
            if package is None:
                site.tally.skip(reasons.DAMAGED, path)
            else:
                found.append(package)
    if len(names) > MAX_PACKAGES:
        site.tally.skip(reasons.TOO_MANY, directory, count=len(names) - MAX_PACKAGES)
    yield from sorted(found, key=lambda one: one.name)


def _description(site: Site, path: str) -> bytes:
    try:
        return site.head(path, MAX_DESCRIPTION)
    except FileNotFoundError:
        return b""


def _package(directory: str, raw: bytes) -> Package | None:
    """The package in ``NAME-VERSION-RELEASE``; ``raw`` is its ``desc``."""
    fields = {found[1]: text(found[2]) for found in _FIELD.finditer(raw)}
    arch = fields.get(b"ARCH", "")
    name, _, rest = directory.rpartition("-")
    name, _, version = name.rpartition("-")
    version = f"{version}-{rest}"
    if not name or not is_usable(name, version, arch):
        return None
    source = fields.get(b"BASE", "")[:500]
    return Package(
        name=name,
        plain=name,
        version=version,
        type="pacman",
        arch=arch,
        source=source,
        sourceversion=version if source else "",
    )


SOURCE = Source("pacman", ("local/*/desc",), (DATABASE,), ("source", "sourceversion"), installed)
