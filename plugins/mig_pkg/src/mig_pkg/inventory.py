"""All sources of packages, and what it means when one is not there. Driven by ``module``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.site import RanOutOfTime
from mig_pkg import (
    apk,
    dpkg,
    executables,
    flatpak,
    gems,
    npm_packages,
    opkg,
    pacman,
    python_packages,
    reasons,
    rpm,
    snap,
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
        python_packages.SOURCE,
        npm_packages.SOURCE,
        gems.SOURCE,
        executables.GO,
        executables.CARGO,
    )
}
"""In the order they are looked at."""


def packages(request: Request, site: Site) -> Iterator[Package]:
    """All installed packages of the types asked for; books what could not be looked at."""
    systems = [kind for kind in request.types if kind in SYSTEM_TYPES]
    present = 0
    for place, kind in enumerate(request.types):
        try:
            site.check_time()
            found = SOURCES[kind].installed(site)
            if found is None:
                if kind in request.asked:
                    site.tally.skip(reasons.NO_MANAGER if kind in SYSTEM_TYPES else reasons.NO_DIRECTORY, kind)
                continue
            present += kind in SYSTEM_TYPES
            yield from found
        except RanOutOfTime:
            for late in request.types[place:]:
                site.tally.skip(reasons.TIME, late)
            return
    if systems and not present:
        if not request.asked & set(systems):
            site.tally.skip(reasons.NO_MANAGER)
        site.tally.error(f"{reasons.NO_MANAGER.text}: looked for {', '.join(systems)}")
    elif systems and site.tally.count("packages") == 0:
        site.tally.skip(reasons.NO_PACKAGES)
