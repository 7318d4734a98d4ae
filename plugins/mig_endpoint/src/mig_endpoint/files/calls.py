"""Calls of the operating system on files: made at once, or by somebody who can be left behind.

A call on a network file system, or on one in user space (FUSE), may never return; in the kernel only a deadly signal
ends the wait (``wait_event_killable`` in net/sunrpc/sched.c and fs/fuse/dev.c, Linux 6.18), and a signal deadly for a
thread is deadly for its process. So such calls are made by a thread of their own: who waits for it gives it up after a
while, goes on, and books what was not looked at. The thread stays in its call. The process can end nevertheless, unless
a FUSE server has taken the request: then nothing but that server's end does, and whoever waits must be another process.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from queue import SimpleQueue

    _Scandir = Callable[[int], AbstractContextManager[Iterator["Entry"]]]

P = ParamSpec("P")
R = TypeVar("R")

MOST = 10.0
"""Seconds that a file system gets for a call, at most."""
LEAST = 0.25
AT_ONCE = 1024
"""Entries of a directory that one call of the thread gives."""
SHARE = 4
"""It gets at most this part of the time that is left."""


class Unresponsive(TimeoutError):
    """The file system did not answer in time (an ``OSError`` with ``ETIMEDOUT``)."""

    def __init__(self) -> None:
        super().__init__(errno.ETIMEDOUT, "the file system does not answer")


class Entry(Protocol):
    """What :class:`os.DirEntry` says of an entry of a directory."""

    @property
    def name(self) -> str:
        """The name, as :func:`os.fsdecode` gives it."""

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file."""

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory."""

    def is_symlink(self) -> bool:
        """Whether it is a link."""


class Calls(Protocol):
    """What is asked of the operating system about files; each as the function of :mod:`os` with its name."""

    guarded: bool
    """Whether a call may be given up, with :class:`Unresponsive`."""

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        """A descriptor."""

    def close(self, fd: int) -> None:
        """Closes one."""

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        """The status of a path."""

    def fstat(self, fd: int) -> os.stat_result:
        """The status of what is open."""

    def readlink(self, path: str, *, dir_fd: int | None = None) -> str:
        """What a link says."""

    def access(self, path: str, mode: int, *, dir_fd: int | None = None, effective_ids: bool = False) -> bool:
        """Whether something may be done."""

    def lseek(self, fd: int, position: int, whence: int) -> int:
        """Moves in what is open."""

    def read(self, fd: int, length: int) -> bytes:
        """The next bytes."""

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Bytes from somewhere."""

    def readv(self, fd: int, buffers: Sequence[memoryview]) -> int:
        """Writes the next bytes into the first buffer; how many."""

    def scandir(self, fd: int) -> AbstractContextManager[Iterator[Entry]]:
        """The entries of an open directory."""

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Any other function that asks the operating system."""


class Direct:
    """Calls made at once."""

    guarded = False
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    readlink = staticmethod(os.readlink)
    access = staticmethod(os.access)
    lseek = staticmethod(os.lseek)
    read = staticmethod(os.read)
    pread = staticmethod(os.pread)
    readv = staticmethod(os.readv)
    scandir: _Scandir = staticmethod(os.scandir)  # type: ignore[assignment]  # the one of its forms that takes an int

    @staticmethod
    def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function."""
        return function(*args, **kwargs)


DIRECT = Direct()


class Patience:
    """How long to wait for file systems, in one run: less with each that did not answer."""

    def __init__(self, remaining: Callable[[], float], most: float = MOST) -> None:
        """``remaining``: seconds until the deadline of the run."""
        self._remaining = remaining
        self._most = most

    def seconds(self) -> float:
        """How long to wait now."""
        return max(LEAST, min(self._most, self._remaining() / SHARE))

    def lost(self) -> None:
        """Notes that waiting was in vain: fifty mounts of a dead server must not cost fifty times as much."""
        self._most = max(LEAST, self._most / 2)


class _Request:
    """A call for the thread: what to do, and what came of it."""

    __slots__ = ("done", "failure", "function")

    def __init__(self, function: Callable[[], object]) -> None:
        from threading import Lock  # see Guarded.call

        self.function = function
        self.failure: BaseException | None = None
        self.done = Lock()
        self.done.acquire()


class Guarded:
    """Calls made by a thread that is given up when one of them does not return. One for each file system.

    After that, every call fails at once with :class:`Unresponsive`. To be closed with :meth:`end` or ``with``.
    """

    guarded = True

    def __init__(self, patience: Patience) -> None:
        """Starts no thread yet."""
        self._patience = patience
        self._requests: SimpleQueue[_Request | None] | None = None
        self.gave_up = False
        """Whether a call did not return."""

    def __enter__(self) -> Guarded:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Lets the thread end, unless it hangs."""
        if self._requests is not None:
            self._requests.put(None)
            self._requests = None

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function in the thread.

        Raises:
            Unresponsive: it does not return.
        """
        if self.gave_up:
            raise Unresponsive
        if self._requests is None:
            # Few file systems need a guard, and where it is imported threading has work at each fork.
            from queue import SimpleQueue
            from threading import Thread

            self._requests = SimpleQueue()
            Thread(target=_serve, args=(self._requests,), name="mig-guarded", daemon=True).start()
        result: list[R] = []
        request = _Request(lambda: result.append(function(*args, **kwargs)))
        self._requests.put(request)
        returned = False
        try:
            returned = request.done.acquire(timeout=self._patience.seconds())
        finally:  # also at Ctrl-C: nobody waits for it again
            self.gave_up = not returned
            if self.gave_up:
                self.end()
        if not returned:
            self._patience.lost()
            raise Unresponsive
        if request.failure is not None:
            raise request.failure
        return result[0]

    def open(self, path: str, flags: int, *, dir_fd: int | None = None) -> int:
        """A descriptor."""
        return self.call(os.open, path, flags, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        """Closes one; not where nobody answers, for closing asks the file system too."""
        with contextlib.suppress(Unresponsive):
            self.call(os.close, fd)

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        """The status of a path."""
        return self.call(os.stat, path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def fstat(self, fd: int) -> os.stat_result:
        """The status of what is open."""
        return self.call(os.fstat, fd)

    def readlink(self, path: str, *, dir_fd: int | None = None) -> str:
        """What a link says."""
        return self.call(os.readlink, path, dir_fd=dir_fd)

    def access(self, path: str, mode: int, *, dir_fd: int | None = None, effective_ids: bool = False) -> bool:
        """Whether something may be done."""
        return self.call(os.access, path, mode, dir_fd=dir_fd, effective_ids=effective_ids)

    def lseek(self, fd: int, position: int, whence: int) -> int:
        """Moves in what is open."""
        return self.call(os.lseek, fd, position, whence)

    def read(self, fd: int, length: int) -> bytes:
        """The next bytes."""
        return self.call(os.read, fd, length)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Bytes from somewhere."""
        return self.call(os.pread, fd, length, offset)

    def readv(self, fd: int, buffers: Sequence[memoryview]) -> int:
        """Writes the next bytes into the first buffer; how many.

        Not read into it directly: a call that was given up may still write, when the buffer holds another file.
        """
        data = self.call(os.read, fd, len(buffers[0]))
        buffers[0][: len(data)] = data
        return len(data)

    @contextlib.contextmanager
    def scandir(self, fd: int) -> Iterator[Iterator[Entry]]:
        """The entries of an open directory."""
        entries = self.call(os.scandir, fd)
        try:
            yield itertools.chain.from_iterable(iter(lambda: self.call(_listed, entries, AT_ONCE), []))
        finally:
            with contextlib.suppress(Unresponsive):
                self.call(entries.close)


class _Listed:
    """An entry whose kind has been found out."""

    __slots__ = ("_kind", "name")

    def __init__(self, name: str, kind: int) -> None:
        self.name = name
        self._kind = kind

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._kind == stat.S_IFREG

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._kind == stat.S_IFDIR

    def is_symlink(self) -> bool:
        return self._kind == stat.S_IFLNK


def _listed(entries: Iterable[os.DirEntry[str]], at_once: int) -> list[Entry]:
    """So many of the entries. Where the directory does not know their kinds itself, the file system is asked here."""
    listed: list[Entry] = []
    for entry in itertools.islice(entries, at_once):
        if entry.is_file(follow_symlinks=False):
            kind = stat.S_IFREG
        elif entry.is_dir(follow_symlinks=False):
            kind = stat.S_IFDIR
        else:
            kind = stat.S_IFLNK if entry.is_symlink() else 0
        listed.append(_Listed(entry.name, kind))
    return listed


def _serve(requests: SimpleQueue[_Request | None]) -> None:
    """The thread's life."""
    while (request := requests.get()) is not None:
        try:
            request.function()
        except BaseException as failure:
            request.failure = failure
        request.done.release()
