"""Source: Flatpak. Applications and runtimes, system-wide, in further installations and in home directories.

The version is the one that ``flatpak list`` shows, from the file ``deploy`` of what is in use; runtimes have none
there, their branch (``23.08``) stands for it.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.accounts import home_directories
from mig_pkg import reasons
from mig_pkg.package import Package, is_usable, text
from mig_pkg.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.packages.site import Site

SYSTEM = "/var/lib/flatpak"
OWN = ".local/share/flatpak"
"""In each account's home directory."""
PLACES = (SYSTEM, f"~/{OWN}")
SETTINGS = "/etc/flatpak/installations.d/*"
"""Further installations: files with ``Path=``."""
KINDS = ("app", "runtime")
MAX_DEPLOY = 1 << 20
_PATH = re.compile(rb"^\s*Path\s*=\s*(/\S*)", re.MULTILINE)
_KEY = b"appdata-version\0"
_ALIGNED = 8
"""GVariant puts the value of a dictionary's entry at a multiple of 8 bytes."""


def installed(site: Site) -> Iterator[Package] | None:
    """What is deployed, by installation; None when there is no installation."""
    places = [SYSTEM, *_in_homes(site), *_configured(site)]
    found = [place for place in site.tree.distinct(places) if any(site.tree.exists(f"{place}/{one}") for one in KINDS)]
    return _all(site, found) if found else None


def _configured(site: Site) -> Iterator[str]:
    for path in _booked(site, site.tree.expand((SETTINGS,))):
        try:
            yield from (text(found[1]) for found in _PATH.finditer(site.head(path, 1 << 16)))
        except OSError as error:
            site.tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))


def _in_homes(site: Site) -> Iterator[str]:
    return (f"{home}/{OWN}" for home in _booked(site, home_directories(site.tree)))


def _booked(site: Site, paths: Iterable[str | OSError]) -> Iterator[str]:
    for path in paths:
        if isinstance(path, OSError):
            site.tally.failed(reasons.UNREADABLE, path.filename or "flatpak", path.strerror or str(path))
        else:
            yield path


def _all(site: Site, places: list[str]) -> Iterator[Package]:
    for place in places:
        for kind in KINDS:
            for name in _names(site, f"{place}/{kind}"):
                for arch in _names(site, f"{place}/{kind}/{name}"):
                    for branch in _names(site, f"{place}/{kind}/{name}/{arch}"):
                        yield from _package(site, f"{place}/{kind}", name, arch, branch)


def _names(site: Site, path: str) -> list[str]:
    """The directories in a directory, without the links that Flatpak puts there."""
    site.check_time()
    with site.booked(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return site.tree.listing(path)[1]
    return []


def _package(site: Site, place: str, name: str, arch: str, branch: str) -> Iterator[Package]:
    path = f"{place}/{name}/{arch}/{branch}"
    try:
        version = deployed_version(site.head(f"{path}/active/deploy", MAX_DEPLOY)) or branch
    except FileNotFoundError:
        return  # left over: nothing of it is deployed
    except OSError as error:
        site.tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
        return
    if is_usable(name, version, arch):
        yield Package(name=name, plain=name, version=version, type="flatpak", arch=arch, path=path)
    else:
        site.tally.skip(reasons.DAMAGED, path)


def deployed_version(deploy: bytes) -> str:
    """The version in a ``deploy`` file (flatpak's ``FlatpakDeployData``, a GVariant); empty when there is none."""
    start = deploy.find(_KEY)
    while start >= 0 and start % _ALIGNED:
        start = deploy.find(_KEY, start + 1)
    if start < 0:
        return ""
    start += -(-len(_KEY) // _ALIGNED) * _ALIGNED
    end = deploy.find(b"\0\0s", start)
    return text(deploy[start:end]) if end >= 0 else ""


SOURCE = Source("flatpak", ("deploy",), (*PLACES, SETTINGS), ("path",), installed)
