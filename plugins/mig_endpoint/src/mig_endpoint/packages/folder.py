"""One directory, listed: its names, and which of them are directories or links. Made by ``tree``."""

from __future__ import annotations

import errno
import itertools
import os

from mig_core.records import dataclass

MAX_ENTRIES = 200_000
"""Entries of one directory that are looked at."""
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY
"""How files and directories are opened: a link is an error, and nothing waits."""
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Something was removed or replaced since it was seen in the directory above."""


class TooLarge(Exception):
    """A file is larger than was allowed, or a directory has too many entries; what came before was given."""


@dataclass(slots=True)
class Folder:
    """One directory, listed."""

    path: str
    """As the system that is looked at names it."""
    real: str
    """As the endpoint names it, without links."""
    names: list[str]
    """What is in it, in no order."""
    directories: list[str]
    """Those of the names that are directories, and not links to one; sorted."""
    links: list[str]
    """Those of the names that are links."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    def inner(self, name: str) -> tuple[str, str]:
        """Path and real path of something in it that is no link."""
        return f"{self.path.rstrip('/')}/{name}", f"{self.real.rstrip('/')}/{name}"

    def ending(self, *ends: str) -> list[str]:
        """Those of the names that end so, sorted."""
        return sorted(name for name in self.names if name.endswith(ends))


def entries(real: str) -> tuple[list[str], list[str], list[str]]:
    """The names in a directory, those of directories, and those of links; ``real`` has no link in it.

    Raises:
        OSError: it cannot be listed.
        TooLarge: it has more than :data:`MAX_ENTRIES`.
    """
    fd = os.open(real, FLAGS | os.O_DIRECTORY)
    try:
        with os.scandir(fd) as opened:
            found = list(itertools.islice(opened, MAX_ENTRIES + 1))
        if len(found) > MAX_ENTRIES:
            raise TooLarge(real)
        names = [entry.name for entry in found]
        directories = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        links = [entry.name for entry in found if entry.is_symlink()]
    finally:
        os.close(fd)
    return names, directories, links
