"""What a walk shows: some entries of one directory, and who looks at them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Protocol

from mig_core.records import dataclass
from mig_endpoint.files.calls import DIRECT, Calls
from mig_endpoint.files.naming import PathText

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    from mig_core.plugin.coverage import Reason


@dataclass(slots=True)
class Batch:
    """Some entries of one directory, in its order."""

    path: str
    """The directory, as :func:`os.fsdecode` gives it."""
    fd: int
    depth: int
    """1 for the entries of the path itself."""
    names: list[str]
    """Regular files, and links that lead to regular files."""
    links: Collection[str]
    """Which of the names are links."""
    others: Mapping[str, int]
    """The other entries and their kinds (``stat.S_IFDIR`` …): ``stat.S_IFLNK`` for a link that leads to no regular
    file. Empty where the visitor does not want them."""
    specials: Sequence[str] = ()
    """Which of the others are sockets, FIFOs and devices."""
    named: bool = False
    """Whether the entry is what a path of the question names itself."""
    calls: Calls = DIRECT
    """Who asks the operating system about the entries."""
    guarded: Mapping[str, Calls] | None = None
    """Who asks about links that lead elsewhere."""

    def path_of(self, name: str) -> PathText:
        """The path of one of the entries."""
        return PathText(self.path, name)

    def calls_for(self, name: str) -> Calls:
        """Who asks about one of the entries."""
        return self.guarded.get(name, self.calls) if self.guarded else self.calls

    def is_link(self, name: str) -> bool:
        """Whether one of the entries is a link, wherever it leads."""
        return name in self.links or self.others.get(name) == stat.S_IFLNK

    def status(self, name: str) -> os.stat_result:
        """The status of one of the entries, or of the regular file that a link leads to.

        Raises:
            OSError: it went away.
        """
        return self.calls_for(name).stat(name, dir_fd=self.fd, follow_symlinks=name in self.links)

    def own_status(self, name: str) -> os.stat_result:
        """The status of one of the entries itself, be it a link.

        Raises:
            OSError: it went away.
        """
        return self.calls.stat(name, dir_fd=self.fd, follow_symlinks=False)

    def target(self, name: str) -> str:
        """What a link says it leads to, as :func:`os.fsdecode` gives it.

        Raises:
            OSError: it went away.
        """
        return self.calls.readlink(name, dir_fd=self.fd)


class Visitor(Protocol):
    """Who looks at what the walk finds."""

    @property
    def wants_others(self) -> bool:
        """Whether to be shown entries that are no regular files; asked for each walk."""

    def visit(self, batch: Batch) -> None:
        """Looks at entries."""

    def why_not(self, depth: int) -> Reason | None:
        """Why not to go into directories whose entries have this depth; None: go."""

    def stopped(self) -> bool:
        """Whether the run is over; the visitor books why. Asked at least once for each directory."""
