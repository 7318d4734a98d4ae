"""Looking for packages that no system-wide database knows: in their usual homes, below paths, or everywhere.

A module says for each kind of package where it usually lies and what to make of a directory (:class:`Kind`); one
:class:`Search` looks for all kinds at once, so that each directory is listed once.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from mig_core.records import dataclass
from mig_endpoint.packages import reasons
from mig_endpoint.packages.accounts import home_directories
from mig_endpoint.packages.folder import GONE, Folder, TooLarge
from mig_endpoint.packages.tree import WILD
from mig_endpoint.packages.walk import Walk
from mig_endpoint.packages.zipped import Archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.packages.site import Site

Found = TypeVar("Found")
"""What a module makes of a package's description."""
MAX_PACKAGES = 100_000
"""Of one kind; Debian has about 65,000 in all."""
COST = 4
"""What reading a file counts against the number of directories that a search goes into unasked."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[Found]):
    """One kind of packages."""

    homes: tuple[str, ...]
    """Directories in which they usually lie, as patterns; ``~`` in front stands for every home directory."""
    look: Callable[[Search[Found], Folder], Iterator[Found]]
    """Gives the packages that a directory describes, perhaps with those in directories of theirs. Called for every
    directory that the search comes to, the usual homes first (:attr:`Search.is_home`)."""
    everywhere: bool = True
    """Whether it is looked for on the whole system when no paths are asked for."""


class Search(Generic[Found]):
    """One search for some kinds of packages. Paths are those of the system that is looked at."""

    def __init__(self, site: Site, kinds: Mapping[str, Kind[Found]]) -> None:
        self._site = site
        self._walk = Walk(site)
        self._tree = self._walk.near
        self._tally = site.tally
        self._kinds = kinds
        self._looked: set[tuple[str, str]] = set()
        self._read: set[tuple[str, str]] = set()
        self._refused: set[str] = set()
        self._counts = dict.fromkeys(kinds, 0)
        self._kind = ""
        self.is_home = False
        """Whether the directory at hand is a usual home of the kind that is looked for."""
        self.is_named = False
        """Whether the directory at hand is a path that was asked for."""
        self.present: set[str] = set()
        """Kinds of which a usual home is there, or a package was found."""

    def packages(self) -> Iterator[Found]:
        """The packages: those in the usual homes, kind by kind, then those below the paths, or those elsewhere.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        homes = self._paths(home_directories(self._tree))
        yield from self._at_home(homes)
        self._tree = self._site.tree
        for path in self._site.paths:
            yield from self._below(path)
        self._tree = self._walk.near
        everywhere = {name for name, kind in self._kinds.items() if kind.everywhere}
        if everywhere and self._site.paths:
            if "/" not in self._site.paths:
                self._tally.skip(reasons.NOT_NAMED)
        elif everywhere:
            for folder in self._walk.likely(homes):
                yield from self._look(folder, everywhere)

    def _at_home(self, homes: list[str]) -> Iterator[Found]:
        wanted: dict[str, list[str]] = defaultdict(list)
        for name, kind in self._kinds.items():
            for pattern in kind.homes:
                tops = [glob.escape(home) for home in homes] if pattern.startswith("~") else [""]
                for top in tops:
                    wanted[top + pattern.removeprefix("~")].append(name)
        self.is_home = True
        for pattern, place in self._tree.matches(wanted):
            if isinstance(place, OSError):
                self.failed(place.filename, place)
            elif (folder := self.folder(place)) is not None:
                self.present.update(wanted[pattern])
                yield from self._look(folder, wanted[pattern])
        self.is_home = False
        self._walk.spent = 0

    def _below(self, top: str) -> Iterator[Found]:
        """What lies below a path, or below each that a pattern stands for."""
        if set(top) & WILD and not self._tree.exists(top):
            places = self._paths(self._tree.expand((top,)))
            if not places:
                self.failed(top, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), top))
            for place in places:
                yield from self._below_one(place)
        else:
            yield from self._below_one(top)

    def _below_one(self, top: str) -> Iterator[Found]:
        try:
            try:
                for folder in self._walk.below(top):
                    self.is_named = folder.path == top
                    yield from self._look(folder, self._kinds)
            except NotADirectoryError:
                self.is_named = True
                alone = self._alone(top)
                yield from self._look(alone, self._kinds, f"{alone.real}/{alone.names[0]}")
        except OSError as error:
            self.failed(top, error)
        self.is_named = False

    def _look(self, folder: Folder, kinds: Iterable[str], real: str = "") -> Iterator[Found]:
        """Looks at a directory once; ``real`` is what is looked at, if that is one file of it."""
        real = real or folder.real
        for name in kinds:
            if (name, real) not in self._looked:
                self._looked.add((name, real))
                self._kind = name
                yield from self._kinds[name].look(self, folder)

    def _alone(self, path: str) -> Folder:
        """A file that was asked for, as the only one in its directory."""
        real = self._tree.real(path)
        directory, _, name = real.rpartition("/")
        return Folder(self._tree.named(directory), directory, [name], [], [])

    def _paths(self, found: Iterable[str | OSError]) -> list[str]:
        """Those that are paths; the others are booked."""
        paths = []
        for one in found:
            self._site.check_time()
            if isinstance(one, OSError):
                self.failed(one.filename or "", one)
            else:
                paths.append(one)
        return paths

    def read(
        self,
        folder: Folder,
        inner: str,
        limit: int,
        understand: Callable[[bytes, str], Found | None],
        *,
        optional: bool = False,
    ) -> Iterator[Found]:
        """The package that a file describes, unless it was given before.

        Args:
            folder: where it lies.
            inner: its path from there.
            limit: bytes that are read, at most.
            understand: makes the package of the bytes and the file's path; None when they are no description.
            optional: it need not be there.
        """
        path, real = folder.inner(inner)
        raw = self.content(folder, inner, limit, optional=optional)
        if raw is not None and self.is_new(real):
            yield from self.give(understand(raw, path), path)

    def content(self, folder: Folder, inner: str, limit: int, *, optional: bool = False) -> bytes | None:
        """The first bytes of a file; None when it cannot be read, which is booked. Arguments as for :meth:`read`."""
        self._site.check_time()
        self._walk.spent += COST
        path, real = folder.inner(inner)
        try:
            above, _, _ = inner.rpartition("/")
            if not above or above in folder.directories:  # no link on the way
                try:
                    return self._tree.head_at(real, limit)
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
            return self._tree.head(path, limit)
        except OSError as error:
            if not optional or error.errno not in GONE:
                self.failed(path, error)
            return None

    @contextlib.contextmanager
    def archive(self, path: str) -> Iterator[Archive | None]:
        """A zip file, opened; None when it is none or cannot be read, which is booked."""
        self._site.check_time()
        self._walk.spent += COST
        with contextlib.ExitStack() as stack:
            try:
                archive = Archive(stack.enter_context(self._tree.open(path)))
            except (OSError, ValueError) as error:
                self.failed(path, error)
                archive = None
            yield archive

    def give(self, found: Found | None, path: str) -> Iterator[Found]:
        """The package, if it is one and there are not too many; else why not is booked."""
        if found is None:
            self._tally.skip(reasons.DAMAGED, path)
        elif self._counts[self._kind] >= MAX_PACKAGES:
            self._tally.skip(reasons.TOO_MANY, path)
        else:
            self._counts[self._kind] += 1
            self.present.add(self._kind)
            yield found

    def folder(self, path: str) -> Folder | None:
        """A directory, links followed; None when it is not there, or cannot be listed, which is booked."""
        try:
            return self._listed(path, self._tree.real(path))
        except OSError as error:
            if error.errno not in GONE:
                self.failed(path, error)
            return None

    def enter(self, folder: Folder, inner: str) -> Folder | None:
        """A directory in a directory; None when it is not there, or cannot be listed, which is booked.

        Where ``inner`` is a link, it is followed, and the directory has its own path.
        """
        path, real = folder.inner(inner)
        if inner.partition("/")[0] not in folder.directories:
            return self.linked(path)
        try:
            return self._listed(path, real)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                return self.linked(path)
            if error.errno not in GONE:
                self.failed(path, error)
            return None

    def linked(self, path: str) -> Folder | None:
        """The directory that a link leads to, by its own path; None when there is none, or it cannot be listed."""
        try:
            real = self._tree.real(path)
            return self._listed(self._tree.named(real), real)
        except OSError as error:
            if error.errno not in GONE:
                self.failed(path, error)
            return None

    def _listed(self, path: str, real: str) -> Folder | None:
        self._site.check_time()
        self._walk.spent += 1
        try:
            return self._tree.folder_at(path, real)
        except TooLarge:
            self._tally.failed(reasons.TOO_LARGE, path, "has too many entries")
            return None

    def check_time(self) -> None:
        """Raises when time is over.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        self._site.check_time()

    def is_new(self, real: str) -> bool:
        """Whether this was not asked about before, for the kind that is looked for."""
        is_new = (self._kind, real) not in self._read
        self._read.add((self._kind, real))
        return is_new

    def is_new_file(self, folder: Folder, name: str) -> bool:
        """Whether a regular file is there, perhaps through links, that was not asked about before."""
        path, real = folder.inner(name)
        try:
            real = self._tree.real(path) if name in folder.links else real
        except OSError:
            return False
        return os.path.isfile(real) and self.is_new(real)

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there, perhaps through links."""
        try:
            return os.path.isfile(self._tree.real(path))
        except OSError:
            return False

    def skip(self, reason: Reason, path: str) -> None:
        """Books something that was not looked at."""
        self._tally.skip(reason, path)

    def failed(self, path: str, error: Exception) -> None:
        """Books, once, something that could not be looked at."""
        if isinstance(error, OSError) and error.errno == errno.EREMOTE:
            self._walk.book_elsewhere(error)
        elif path not in self._refused:
            self._refused.add(path)
            self._tally.failed(reasons.UNREADABLE, path, getattr(error, "strerror", None) or str(error))
