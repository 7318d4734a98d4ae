"""All sources of packages, and what it means when one is not there. Driven by ``module``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_pkg import apk, dpkg, gems, npm_packages, pacman, python_packages, rpm
from mig_pkg import tally as books
from mig_pkg.declaration import SYSTEM_TYPES
from mig_pkg.program import RanOutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mig_pkg.package import Package
    from mig_pkg.request import Request
    from mig_pkg.site import Site

SOURCES: Mapping[str, Callable[[Site], Iterator[Package] | None]] = {
    "rpm": rpm.installed,
    "dpkg": dpkg.installed,
    "apk": apk.installed,
    "pacman": pacman.installed,
    "python": python_packages.installed,
    "npm": npm_packages.installed,
    "gem": gems.installed,
}


def packages(request: Request, site: Site) -> Iterator[Package]:
    """All installed packages of the types asked for; books what could not be looked at."""
    systems = [kind for kind in request.types if kind in SYSTEM_TYPES]
    present = 0
    for place, kind in enumerate(request.types):
        try:
            site.check_time()
            found = SOURCES[kind](site)
            if found is None:
                if kind in request.asked:
                    site.tally.skip(books.NO_MANAGER if kind in SYSTEM_TYPES else books.NO_DIRECTORY, kind)
                continue
            present += kind in SYSTEM_TYPES
            yield from found
        except RanOutOfTime:
            for late in request.types[place:]:
                site.tally.skip(books.TIME, late)
            return
    if systems and not present:
        if not request.asked & set(systems):
            site.tally.skip(books.NO_MANAGER)
        site.tally.error(f"{books.NO_MANAGER}: looked for {', '.join(systems)}")
    elif systems and site.tally.packages == 0:
        site.tally.skip(books.NO_PACKAGES)
