"""Which directories are watched, by which of the kernel's interfaces, and what their notices call them."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.files.naming import PathText
from mig_fswatch import kernel
from mig_fswatch.actors import Actors
from mig_fswatch.fanotify import NEW, Fanotify
from mig_fswatch.inotify import Inotify

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from mig_core.plugin.coverage import Tally
    from mig_fswatch.notice import Source

MOST_GROUPS = 32
UNWATCHED = Reason("directory that the kernel gave no watch: what changes there is seen by the next comparison only")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Watched:
    """A directory, or a file with several names."""

    path: str
    source: Source
    key: Hashable
    directory: bool = True
    names: frozenset[str] | None = None
    """The only names in it that matter; None: all."""


class Marks:
    """All of them. For one thread, but for the sources' ``read``."""

    def __init__(self, method: str, log: Callable[[int, str], None]) -> None:
        """Opens what there is.

        Raises:
            OSError: ``fanotify`` was asked for and cannot be had, or not even inotify can.
        """
        self._by_key: dict[str, dict[Hashable, Watched]] = {"fanotify": {}, "inotify": {}}
        self._by_path: dict[str, Watched] = {}
        self.fanotify: list[Fanotify] = []
        """One group, and one more for each file system id that the kernel does not let into the first."""
        self.inotify = Inotify()
        self.on_new: Callable[[Source], None] = lambda _source: None
        """Is told of each group that is opened later."""
        self._log = log
        self._by_id: dict[bytes, Fanotify] = {}
        self._refused: int | None = None
        """Why the last interface that was tried could not be used (errno)."""
        self._growing = False
        if method != "inotify":
            try:
                self.fanotify.append(Fanotify(Actors(time.monotonic), self._matters, time.monotonic))
            except OSError as error:
                if method == "fanotify":
                    self.inotify.close()
                    raise
                log(
                    logging.WARNING,
                    f"fanotify cannot be had ({error.strerror}): watching with inotify, which does not tell who it was",
                )

    def sources(self) -> list[Source]:
        """Those to be read."""
        return [*self.fanotify, self.inotify]

    @contextlib.contextmanager
    def growing(self) -> Iterator[None]:
        """While more is being watched, and for a moment after that, events of everything are heeded."""
        self._growing = True
        for group in self.fanotify:
            group.all_until = math.inf
        try:
            yield
        finally:
            self._growing = False
            for group in self.fanotify:
                group.all_until = time.monotonic() + NEW

    def close(self) -> None:
        """Ends all watches."""
        for one in self.sources():
            one.close()

    def _matters(self, key: Hashable, name: str) -> bool:
        """For the reader's thread: whether what happens to a name in a directory is to be heeded."""
        watched = self._by_key["fanotify"].get(key)
        return watched is not None and (watched.names is None or name in watched.names)

    def count(self, kind: str) -> int:
        """How many directories and files one of the interfaces watches."""
        return len(self._by_key[kind])

    def find(self, source: Source, key: Hashable) -> Watched | None:
        """Whose key it is."""
        return self._by_key[source.kind].get(key)

    def at(self, path: str) -> Watched | None:
        """What is watched under a path."""
        return self._by_path.get(path)

    def add(
        self,
        path: str,
        tally: Tally,
        directory: int | None = None,
        name: str = "",
        *,
        names_only: bool = False,
        names: frozenset[str] | None = None,
    ) -> bool:
        """Watches a directory; again is no fault. Whether it is watched.

        Args:
            path: its path.
            tally: where is booked if not.
            directory: descriptor of the directory in which it is called ``name``; None: by its path.
            name: see ``directory``.
            names_only: what is written into its files does not matter.
            names: the only names in it that matter, as far as it was not added without; None: all.
        """
        try:
            fd = os.open(path if directory is None else name, _FLAGS, dir_fd=directory)
        except OSError as failure:
            if failure.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                coverage.failed(tally, PathText(path), failure)
            return False
        try:
            return self._add(
                path, fd, tally, lambda source: source.watch_directory(fd, names_only=names_only), names=names
            )
        finally:
            os.close(fd)

    def add_file(self, path: str, tally: Tally) -> bool:
        """Watches a regular file itself, because what is written under another of its names is not seen elsewhere."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return self._add(path, fd, tally, lambda source: source.watch_file(fd), directory=False)
        finally:
            os.close(fd)

    def _add(
        self,
        path: str,
        fd: int,
        tally: Tally,
        watch: Callable[[Source], Hashable],
        *,
        directory: bool = True,
        names: frozenset[str] | None = None,
    ) -> bool:
        problem: OSError | None = None
        for source in self._fitting(fd):
            try:
                key = watch(source)
            except OSError as failure:
                problem, self._refused = failure, failure.errno
                continue
            before = self._by_path.get(path)
            if before is not None and before.key != key:
                self._by_key[before.source.kind].pop(before.key, None)
            elif before is not None and before.names is None:
                names = None
            self._by_path[path] = self._by_key[source.kind][key] = Watched(path, source, key, directory, names)
            return True
        tally.failed(UNWATCHED, PathText(path), coverage.problem_of(problem) if problem else "")
        return False

    def _fitting(self, fd: int) -> Iterator[Source]:
        """The interfaces to be tried for an open file or directory, in turn.

        The kernel lets file system ids that are not their file system's own (subvolumes of btrfs) into a group only
        where nothing else is in it (EXDEV): each gets one of its own.
        """
        if self.fanotify:
            number = kernel.fsid_of(fd)
            yield self._by_id.get(number, self.fanotify[0])
            if self._refused == errno.EXDEV and number not in self._by_id and len(self.fanotify) < MOST_GROUPS:
                try:
                    group = Fanotify(Actors(time.monotonic), self._matters, time.monotonic)
                except OSError:
                    group = self.fanotify[0]
                else:
                    if not self._growing:
                        group.all_until = time.monotonic() + NEW
                    self.fanotify.append(group)
                    self.on_new(group)
                self._by_id[number] = group
                yield group
        yield self.inotify

    def moved(self, old: str, new: str) -> None:
        """A directory has another path, and with it all below it."""
        for path in self._below(old):
            watched = self._by_path.pop(path)
            watched.path = new + path[len(old) :]
            self._by_path[watched.path] = watched

    def forget(self, path: str, *, below: bool = False) -> None:
        """What was watched at a path, or at and below it, is gone."""
        for one in self._below(path) if below else [path]:
            watched = self._by_path.pop(one, None)
            if watched is not None and self._by_key[watched.source.kind].get(watched.key) is watched:
                del self._by_key[watched.source.kind][watched.key]

    def forget_key(self, source: Source, key: Hashable) -> None:
        """The kernel has dropped a watch."""
        watched = self._by_key[source.kind].pop(key, None)
        if watched is not None and self._by_path.get(watched.path) is watched:
            del self._by_path[watched.path]

    def _below(self, path: str) -> list[str]:
        inner = path.rstrip("/") + "/"
        return [one for one in self._by_path if one == path or one.startswith(inner)]
