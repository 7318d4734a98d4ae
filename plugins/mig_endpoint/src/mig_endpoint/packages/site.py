"""What a look at the packages of one system needs: its file system, the tally, the clock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.packages import reasons
from mig_endpoint.packages.folder import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    before_waiting: Callable[[], None] = lambda: None
    """Called before a file system of the network, or of a program, is gone into: it may not answer."""

    def check_time(self) -> None:
        """Raises when time is over. Cheap; called often.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        if self.remaining() <= 0:
            raise RanOutOfTime

    def head(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a regular file, links followed; that there are more is booked.

        Raises:
            OSError: it cannot be read, or is not a regular file.
        """
        raw = self.tree.head(path, limit + 1)
        if len(raw) > limit:
            self.tally.failed(reasons.TOO_LARGE, path, f"is larger than the {limit} bytes that are read of it")
        return raw[:limit]

    @contextmanager
    def booked(self, path: str, too_large: str = "has too many entries") -> Iterator[None]:
        """Books what is not looked at because it cannot be read, or is larger than anybody would read::

            with site.booked(path):
                names = site.tree.names(path)

        Args:
            path: what is read in there.
            too_large: what is said of it when :class:`TooLarge` is raised in there.
        """
        try:
            yield
        except TooLarge:
            self.tally.failed(reasons.TOO_LARGE, path, too_large)
        except OSError as error:
            self.tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
