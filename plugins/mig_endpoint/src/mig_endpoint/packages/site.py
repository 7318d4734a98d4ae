"""What a look at the packages of one system needs: its file system, the tally, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.packages.tree import Tree


class RanOutOfTime(Exception):
    """The deadline passed."""


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
