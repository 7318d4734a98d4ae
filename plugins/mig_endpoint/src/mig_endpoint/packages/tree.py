"""Reading from a file system that may be somebody else's: links stay below its root, sizes and numbers are bounded.

``Tree("/")`` is the endpoint's own; ``Tree("/host")`` is one mounted there, whose absolute links mean that system.
Used by every source through ``site``.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint.packages.folder import FLAGS, GONE, Folder, TooLarge, entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

CHUNK = 1 << 18
MAX_LINKS = 40
_PIECE = 1 << 12
WILD = frozenset("*?[")


_Parts = dict[str, "_Parts"]
"""Patterns by their first parts; a whole pattern ends it."""


class Tree:
    """A file system seen from its root. Paths are absolute and those of that system."""

    def __init__(self, root: str, shunned: frozenset[str] = frozenset()) -> None:
        """``shunned``: real paths of mount points at which it stops, without a look at what lies there.

        What a path leads to there raises OSError with ``errno.EREMOTE`` and the mount point.
        """
        self.root = root
        self._above = "" if root == "/" else root
        self._shunned = shunned - {root}

    @property
    def is_own(self) -> bool:
        """Whether it is the endpoint's own file system, whose programs may be run."""
        return self.root == "/"

    def real(self, path: str) -> str:
        """Where the path leads, as a path of the endpoint, all links resolved below the root.

        Raises:
            OSError: some part of it does not exist or may not be looked at.
        """
        if self.is_own and not self._shunned:
            return os.path.realpath(path, strict=True)
        place: list[str] = []
        ahead = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        while ahead:
            part = ahead.pop()
            if part == "..":
                del place[-1:]
                continue
            here = "/".join((self._above, *place, part))
            self._check(here)
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
        return "/".join((self._above, *place)) or self.root

    def _check(self, real: str) -> None:
        if real in self._shunned:
            raise OSError(errno.EREMOTE, os.strerror(errno.EREMOTE), self.named(real))

    def named(self, real: str) -> str:
        """What :meth:`real` gave, as a path of the system."""
        return real if self.is_own else real[len(self.root) :] or "/"

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
        names, directories, _ = entries(real)
        return sorted(names), sorted(directories)

    def folder_at(self, path: str, real: str) -> Folder:
        """As :meth:`listing_at`; ``path`` is its name for the system."""
        self._check(real)
        names, directories, links = entries(real)
        directories.sort()
        return Folder(path, real, names, directories, links)

    def folder(self, path: str) -> Folder:
        """A directory, listed, links followed.

        Raises:
            OSError: it cannot be listed.
            TooLarge: it has more than :data:`MAX_ENTRIES`.
        """
        return self.folder_at(path, self.real(path))

    def chunks(self, path: str, limit: int) -> Iterator[bytes]:
        """The content of a regular file, piece by piece.

        Raises:
            OSError: it cannot be read, or is not a regular file.
            TooLarge: it is longer than ``limit`` bytes; that many were given.
        """
        return self._chunks_at(self.real(path), limit)

    def _chunks_at(self, real: str, limit: int) -> Iterator[bytes]:
        fd = os.open(real, FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", real)
            left = limit
            while piece := os.read(fd, CHUNK):
                if len(piece) > left:
                    yield piece[:left]
                    raise TooLarge(real)
                left -= len(piece)
                yield piece
        finally:
            os.close(fd)

    def open(self, path: str) -> BinaryIO:
        """A regular file, open for reading.

        Raises:
            OSError: it cannot be opened, or is not a regular file.
        """
        fd = os.open(self.real(path), FLAGS)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return os.fdopen(fd, "rb")

    def head(self, path: str, limit: int) -> bytes:
        """At most the first ``limit`` bytes of a regular file.

        Raises:
            OSError: it cannot be read, or is not a regular file.
        """
        return self.head_at(self.real(path), limit)

    def head_at(self, real: str, limit: int) -> bytes:
        """As :meth:`head`, of what :meth:`real` gave, or of a file in what was listed there.

        Raises:
            OSError: it cannot be read, or is not a regular file; it is a link.
        """
        fd = os.open(real, FLAGS)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", real)
            read = b""
            while len(read) < limit and (piece := os.read(fd, min(limit - len(read), max(status.st_size, _PIECE)))):
                read += piece
                if len(read) == status.st_size:
                    break
            return read
        finally:
            os.close(fd)

    def expand(self, patterns: Iterable[str]) -> Iterator[str | OSError]:
        """The paths that are there of those that patterns with ``*``, ``?`` and ``[`` in their parts stand for.

        In between come errors, where a directory could not be listed.
        """
        for _, found in self.matches(patterns):
            yield found

    def matches(self, patterns: Iterable[str]) -> Iterator[tuple[str, str | OSError]]:
        """As :meth:`expand`, each with the pattern that stands for it; an error has none.

        Each directory is listed once, however many patterns lead through it.
        """
        parts: _Parts = {}
        for pattern in patterns:
            inner = parts
            for part in pattern.strip("/").split("/"):
                inner = inner.setdefault(part, {})
            inner[pattern] = {}
        yield from self._matches("", "", parts)

    def _matches(self, path: str, above: str, parts: _Parts) -> Iterator[tuple[str, str | OSError]]:
        """What patterns stand for below a directory; ``above`` is the real path of the one above, if that is known."""
        try:
            folder = self._child(path, above)
        except TooLarge:
            yield "", OSError(errno.E2BIG, "too many entries", path)
            return
        except OSError as error:
            if error.errno == errno.EREMOTE:
                yield "", error
            elif error.errno not in GONE:
                yield "", OSError(error.errno, error.strerror, path)
            return
        inside = frozenset((*folder.directories, *folder.links))
        there = frozenset(folder.names)
        real = folder.real.rstrip("/")
        for part, inner in parts.items():
            ends = [one for one in inner if "/" in one]
            for name in fnmatch.filter(sorted(folder.names), part) if set(part) & WILD else {part} & there:
                if ends and (name not in folder.links or self.exists(f"{path}/{name}")):
                    yield from ((pattern, f"{path}/{name}") for pattern in ends)
                if len(ends) < len(inner) and name in inside:
                    yield from self._matches(f"{path}/{name}", real, inner)

    def _child(self, path: str, above: str) -> Folder:
        """A directory, listed, links followed; quickly where the real path of the one above is known."""
        if above:
            try:
                return self.folder_at(path, f"{above}/{path.rpartition('/')[2]}")
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
        return self.folder(path or "/")
