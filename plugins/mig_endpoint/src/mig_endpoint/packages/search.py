"""Looking for packages that no system-wide database knows: in the usual directories, and below those asked for.

The caller says what to make of a directory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

from mig_endpoint.packages import reasons
from mig_endpoint.packages.tree import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.site import Site

Found = TypeVar("Found")
"""What a module makes of a package's description."""
MAX_PACKAGES = 100_000
"""Of one type; Debian has about 65,000 in all."""
MAX_DEPTH = 40
PSEUDO = frozenset({"/proc", "/sys", "/dev", "/run/user"})
"""Not gone into: nothing is installed there."""


class Search(Generic[Found]):
    """One search for packages of a language. Paths are those of the system that is looked at."""

    def __init__(self, site: Site, look: Callable[[Search[Found], str, list[str]], Iterator[Found]]) -> None:
        """``look`` gives the packages in a directory (path, names in it), perhaps with those in theirs."""
        self._site = site
        self._tree = site.tree
        self._tally = site.tally
        self._look = look
        self._seen: set[str] = set()
        self._refused: set[str] = set()
        self._count = 0
        self.places: frozenset[str] = frozenset()
        """The usual directories that are there."""

    def packages(self, usual: tuple[str, ...]) -> Iterator[Found] | None:
        """The packages below the usual directories and those asked for; None when there are none of either."""
        places = []
        for pattern in usual:
            self._site.check_time()
            for place in self._tree.expand(pattern):
                if isinstance(place, OSError):
                    self._failed(place.filename or pattern, place)
                else:
                    places.append(place)
        self.places = frozenset(places)
        if not places and not self._site.paths:
            return None
        return self._found(places)

    def _found(self, places: list[str]) -> Iterator[Found]:
        for place in places:
            if self.is_new(place):
                yield from self._look(self, place, self.names(place))
        for path in self._site.paths:
            try:
                yield from self._below(path)
            except OSError as error:
                self._failed(path, error)

    def _below(self, top: str) -> Iterator[Found]:
        """Goes through a tree. Links are not followed."""
        ahead = [(top, self._tree.real(top), 0)]
        while ahead:
            directory, real, depth = ahead.pop()
            names, directories = self._listing(directory, real)
            if self._is_first(real):
                yield from self._look(self, directory, names)
            if depth >= MAX_DEPTH and directories:
                self.too_deep(directory)
                continue
            for name in reversed(directories):
                inner = f"{directory.rstrip('/')}/{name}"
                if inner not in PSEUDO:
                    ahead.append((inner, f"{real.rstrip('/')}/{name}", depth + 1))

    def read(self, path: str, limit: int, understand: Callable[[bytes, str], Found | None]) -> Iterator[Found]:
        """The package that a file describes, unless it was given before."""
        self._site.check_time()
        try:
            real = self._tree.real(path)
            if not self._is_first(real):
                return
            package = understand(self._tree.head(path, limit), path)
        except OSError as error:
            self._failed(path, error)
            return
        if package is None:
            self._tally.skip(reasons.DAMAGED, path)
        elif self._count >= MAX_PACKAGES:
            self._tally.skip(reasons.TOO_MANY, path)
        else:
            self._count += 1
            yield package

    def names(self, directory: str) -> list[str]:
        """What is in a directory; what cannot be listed is booked and empty."""
        return self._listing(directory)[0]

    def _listing(self, directory: str, real: str = "") -> tuple[list[str], list[str]]:
        self._site.check_time()
        try:
            return self._tree.listing_at(real) if real else self._tree.listing(directory)
        except TooLarge:
            self._tally.failed(reasons.TOO_LARGE, directory, "has too many entries")
        except OSError as error:
            self._failed(directory, error)
        return [], []

    def is_new(self, directory: str) -> bool:
        """Whether it was not asked about before, by this or another path."""
        try:
            return self._is_first(self._tree.real(directory))
        except OSError:
            return False

    def _is_first(self, real: str) -> bool:
        is_first = real not in self._seen
        self._seen.add(real)
        return is_first

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there."""
        try:
            return os.path.isfile(self._tree.real(path))
        except OSError:
            return False

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there, and not a link to one."""
        try:
            parent, _, name = path.rpartition("/")
            place = f"{self._tree.real(parent or '/')}/{name}"
            return os.path.isdir(place) and not os.path.islink(place)
        except OSError:
            return False

    def too_deep(self, directory: str) -> None:
        """Books a directory that was not looked at because it lies too deep."""
        self._tally.skip(reasons.DEPTH, directory)

    def _failed(self, path: str, error: OSError) -> None:
        if path in self._refused:
            return
        self._refused.add(path)
        self._tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
