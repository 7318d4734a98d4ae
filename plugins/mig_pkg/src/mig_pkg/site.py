"""What a source may use: the file system, the books, the clock. Made by ``module``, handed to every source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_pkg import program
from mig_pkg import tally as books
from mig_pkg.program import RanOutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_pkg.tally import Tally
    from mig_pkg.tree import Tree


@dataclass(frozen=True, slots=True)
class Site:
    """The system that is looked at."""

    tree: Tree
    tally: Tally
    remaining: Callable[[], float]
    """Seconds until the deadline."""
    paths: tuple[str, ...] = ()
    """Directories to search for packages of languages, besides the usual ones."""

    def check_time(self) -> None:
        """Raises when time is over. Cheap; called often.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        if self.remaining() <= 0:
            raise RanOutOfTime

    def allows(self, manager: str) -> bool:
        """Whether a package manager's database may be read directly, as far as the PATH has a say.

        On the endpoint's own system the PATH says which managers count: one that is installed and left out of it is
        booked as skipped. A database whose manager is not installed at all (a stripped image) is read, and so is every
        database of a mounted system.
        """
        if not self.tree.is_own or program.on_path(manager):
            return True
        place = program.elsewhere(manager)
        if place:
            self.tally.skip(books.NOT_ASKED_FOR, place)
        return not place
