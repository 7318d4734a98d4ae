"""Reading from a file system that may be somebody else's: links stay below its root, sizes and numbers are bounded.

``Tree("/")`` is the endpoint's own; ``Tree("/host")`` is one mounted there, whose absolute links mean that system.
Used by every source through ``site``.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 1 << 18
MAX_LINKS = 40
MAX_ENTRIES = 200_000
"""Entries of one directory that are looked at."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


class TooLarge(Exception):
    """A file is larger than was allowed, or a directory has too many entries; what came before was given."""


class Tree:
    """A file system seen from its root. Paths are absolute and those of that system."""

    def __init__(self, root: str) -> None:
        self.root = root

    @property
    def is_own(self) -> bool:
        """Whether it is the endpoint's own file system, whose programs may be run."""
        return self.root == "/"

    def real(self, path: str) -> str:
        """Where the path leads, as a path of the endpoint, all links resolved below the root.

        Raises:
            OSError: some part of it does not exist or may not be looked at.
        """
        if self.is_own:
            return os.path.realpath(path, strict=True)
        place: list[str] = []
        ahead = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while ahead:
            part = ahead.pop()
            if part == "..":
                del place[-1:]
                continue
            here = "/".join((self.root, *place, part))
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                place.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(here)
            if target.startswith("/"):
                place.clear()
            ahead += [one for one in reversed(target.split("/")) if one not in ("", ".")]
        return "/".join((self.root, *place))

    def exists(self, path: str) -> bool:
        """Whether something is there. What may not be looked at counts as there: opening it will say so."""
        try:
            self.real(path)
        except PermissionError:
            return True
        except OSError:
            return False
        return True

    def distinct(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths that are there, one for each place that they lead to.

        What may not be looked at counts as there.
        """
        found: dict[str, str] = {}
        for path in paths:
            if self.exists(path):
                try:
                    found.setdefault(self.real(path), path)
                except OSError:
                    found.setdefault(path, path)
        return list(found.values())

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted.

        Raises:
            OSError: it cannot be listed.
            TooLarge: it has more than :data:`MAX_ENTRIES`.
        """
        return self.listing(path)[0]

    def listing(self, path: str) -> tuple[list[str], list[str]]:
        """The names in a directory, and those of them that are directories (not links to one), both sorted.

        Raises:
            OSError: it cannot be listed.
            TooLarge: it has more than :data:`MAX_ENTRIES`.
        """
        return self.listing_at(self.real(path))

    def listing_at(self, real: str) -> tuple[list[str], list[str]]:
        """As :meth:`listing`, of what :meth:`real` gave, or of a directory in what was listed there."""
        found: list[str] = []
        directories: list[str] = []
        fd = os.open(real, _FLAGS | os.O_DIRECTORY)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if len(found) >= MAX_ENTRIES:
                        raise TooLarge(real)
                    found.append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.name)
        finally:
            os.close(fd)
        return sorted(found), sorted(directories)

    def chunks(self, path: str, limit: int) -> Iterator[bytes]:
        """The content of a regular file, piece by piece.

        Raises:
            OSError: it cannot be read, or is not a regular file.
            TooLarge: it is longer than ``limit`` bytes; that many were given.
        """
        fd = os.open(self.real(path), _FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            left = limit
            while piece := os.read(fd, CHUNK):
                if len(piece) > left:
                    yield piece[:left]
                    raise TooLarge(path)
                left -= len(piece)
                yield piece
        finally:
            os.close(fd)

    def head(self, path: str, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a regular file.

        Raises:
            OSError: it cannot be read, or is not a regular file.
        """
        pieces: list[bytes] = []
        with contextlib.suppress(TooLarge):
            pieces.extend(self.chunks(path, limit))
        return b"".join(pieces)

    def expand(self, pattern: str) -> Iterator[str | OSError]:
        """The directories that a path with ``*`` in some of its parts stands for, and where looking failed."""
        places = [""]
        for part in pattern.strip("/").split("/"):
            if not set(part) & set("*?["):
                places = [f"{place}/{part}" for place in places]
                continue
            found: list[str] = []
            for place in places:
                try:
                    names = self.names(place or "/")
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    yield error
                    continue
                except TooLarge:
                    yield OSError(errno.E2BIG, "too many entries", place)
                    continue
                found += [f"{place}/{name}" for name in names if fnmatch.fnmatchcase(name, part)]
            places = found
        yield from (place for place in places if self.exists(place))
