"""What each source declares of itself: the type it gives, what it reads and where. Listed in ``inventory``.

``docs/modules/pkg.md`` has a row for each; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.search import Kind
    from mig_endpoint.packages.site import Site
    from mig_pkg.package import Package


def _no_database(_: Site) -> None:
    """For what has none."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that knows of packages: a system-wide database, or descriptions that a search finds."""

    type: str
    """The ``type`` of its rows, and the word it is asked for by."""
    reads: tuple[str, ...]
    """Files, as patterns below the places; or the program that is asked."""
    places: tuple[str, ...]
    """Directories, as patterns; none for what a search finds: its homes are in :mod:`mig_endpoint.packages.homes`."""
    keys: tuple[str, ...]
    """What its rows have besides name, version, type and arch."""
    installed: Callable[[Site], Iterator[Package] | None] = _no_database
    """Gives the packages of a database; None when there is nothing of the kind on the system."""
    kind: Kind[Package] | None = None
    """For what a search finds."""
