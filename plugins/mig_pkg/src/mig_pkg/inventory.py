"""All sources of packages, and what it means when one is not there. Driven by ``module``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.search import Search
from mig_endpoint.packages.site import RanOutOfTime
from mig_pkg import (
    apk,
    chisel,
    conda,
    dpkg,
    executables,
    flatpak,
    gems,
    jars,
    lock_files,
    npm_packages,
    opkg,
    pacman,
    python_packages,
    reasons,
    rpm,
    snap,
    unread,
    wheel_sboms,
)
from mig_pkg.declaration import SYSTEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_endpoint.packages.site import Site
    from mig_pkg.package import Package
    from mig_pkg.request import Request
    from mig_pkg.source import Source

SOURCES: Mapping[str, Source] = {
    one.type: one
    for one in (
        rpm.SOURCE,
        dpkg.SOURCE,
        apk.SOURCE,
        pacman.SOURCE,
        opkg.SOURCE,
        snap.SOURCE,
        flatpak.SOURCE,
        chisel.SOURCE,
        python_packages.SOURCE,
        npm_packages.SOURCE,
        gems.SOURCE,
        conda.SOURCE,
        executables.GO,
        executables.CARGO,
        jars.SOURCE,
        wheel_sboms.SOURCE,
        lock_files.SOURCE,
    )
}
"""In the order they are looked at."""


def packages(request: Request, site: Site) -> Iterator[Package]:
    """All packages of the types asked for; books what could not be looked at."""
    late = list(request.types)
    try:
        yield from _of_databases(request, site, late)
        yield from _searched(request, site)
    except RanOutOfTime:
        for kind in late:
            site.tally.skip(reasons.TIME, kind)


def _of_databases(request: Request, site: Site, late: list[str]) -> Iterator[Package]:
    """Those of system-wide databases; takes out of ``late`` each type that it is done with."""
    systems = [kind for kind in request.types if kind in SYSTEM_TYPES]
    if len(systems) == len(SYSTEM_TYPES):  # not one manager's were asked for, but the system's
        unread.book(site)
    present = 0
    for kind in systems:
        site.check_time()
        found = SOURCES[kind].installed(site)
        if found is not None:
            present += 1
            yield from found
        elif kind in request.asked:
            site.tally.skip(reasons.NO_MANAGER, kind)
        late.remove(kind)
    if systems and not present:
        if not request.asked & set(systems):
            site.tally.skip(reasons.NO_MANAGER)
        site.tally.error(f"{reasons.NO_MANAGER.text}: looked for {', '.join(systems)}")
    elif systems and site.tally.count("packages") == 0:
        site.tally.skip(reasons.NO_PACKAGES)


def _searched(request: Request, site: Site) -> Iterator[Package]:
    """Those of languages, which lie in directories of theirs."""
    kinds = {name: kind for name in request.types if (kind := SOURCES[name].kind) is not None}
    if not kinds:
        return
    search = Search(site, kinds)
    yield from search.packages()
    if not site.paths:
        for name in request.types:
            if name in request.asked and name in kinds and kinds[name].homes and name not in search.present:
                site.tally.skip(reasons.NO_DIRECTORY, name)
