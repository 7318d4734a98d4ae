"""Going into network namespaces: a connection that is made inside keeps its namespace, this thread comes back.

Sources: setns(2), network_namespaces(7), pidfd_getfd(2), ``SIOCGSKNS`` (``linux/sockios.h``).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.files.mounts import MOUNTINFO, each_mount
from mig_netstat.socket_record import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mig_core.plugin.coverage import Tally

NO_MOUNTS = Reason("list of mounts, which may keep network namespaces, that could not be read")
_CLONE_NEWNET = 0x40000000
_SIOCGSKNS = 0x894C
_SYS_PIDFD_GETFD = 438
_PIDFD_THREAD = os.O_EXCL
_NAMED = re.compile(r"net:\[(\d+)\]")
_OF_PROCESS = re.compile(r"/proc/(?:self|(?:self/fd/\d+/)?\d+)(?:/task/\d+)?/(?:ns|fd)/\w+")
"""Paths that lead to a process's own, or to what it holds: they end with it. Others are those of mounts."""
_ELSEWHERE = re.compile(r"(/proc/(?:self/fd/\d+/)?\d+)/root/")


def own() -> int:
    """The number of this process's network namespace."""
    return number_of("/proc/self/ns/net")


def number_of(path: str) -> int:
    """The number of the namespace that a path leads to.

    Raises:
        OSError: it leads nowhere.
    """
    return os.stat(path).st_ino


def number_in(text: str) -> int:
    """The number in what the kernel calls a network namespace, ``net:[4026532248]``; 0 for any other text."""
    if not text.startswith("net:["):  # of most descriptors
        return 0
    found = _NAMED.fullmatch(text)
    return int(found[1]) if found else 0


def name_of(number: int) -> str:
    """What a namespace is called in answers: ``default`` for our own, else as the kernel does."""
    return DEFAULT if number == own() else f"net:[{number}]"


def known(found: Mapping[int, Sequence[str]], tally: Tally, mountinfo: str = MOUNTINFO) -> dict[int, tuple[str, ...]]:
    """Every namespace that is known of, and paths that lead to it; our own is the first and has none.

    Args:
        found: those of processes. Those that a mount keeps, as ``ip netns`` does it, come with them.
        tally: books that the list of mounts cannot be read.
    """
    mine = own()
    all_of_them = {number: tuple(paths) for number, paths in found.items()}
    try:
        for mount in each_mount(mountinfo):
            if number := number_in(mount.root):
                all_of_them[number] = (*all_of_them.get(number, ()), mount.point)
    except OSError as error:
        coverage.failed(tally, mountinfo, error, NO_MOUNTS)
    all_of_them.pop(mine, None)
    return {mine: (), **all_of_them}


def mounted_elsewhere(folders: Iterable[str]) -> dict[int, list[str]]:
    """Namespaces that a mount keeps in other mount namespaces than ours: number and paths that lead to them.

    Args:
        folders: of processes, below /proc. One that may not be read tells nothing.
    """
    seen = {os.stat("/proc/self/ns/mnt").st_ino}
    found: dict[int, list[str]] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            if (space := number_of(f"{folder}/ns/mnt")) in seen:
                continue
            seen.add(space)
            for mount in each_mount(f"{folder}/mountinfo"):
                if number := number_in(mount.root):
                    found.setdefault(number, []).append(f"{folder}/root{mount.point}")
    return found


def opened(number: int, paths: Sequence[str]) -> int:
    """A descriptor of a namespace, by the first path that still leads to it.

    What a path leads to is looked at before it is opened: somebody may have mounted a device or a FIFO there meanwhile,
    or made the process's descriptor another's.

    Raises:
        FileNotFoundError: none does any more: whoever lived there has ended.
        OSError: it may not be opened, or what keeps it lies behind another mount.
    """
    namespace = os.stat("/proc/self/ns/net").st_dev, number
    problem: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in paths:
        try:
            held = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            continue
        except OSError as error:
            problem = error
            continue
        try:
            found = os.fstat(held)
            if (found.st_dev, found.st_ino) == namespace:
                return os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            problem = error
        finally:
            os.close(held)
    if isinstance(problem, FileNotFoundError) and any(_is_mounted(number, path) for path in paths):
        raise OSError(errno.EBUSY, "another mount lies over the one that keeps it")
    raise problem


def _is_mounted(number: int, path: str) -> bool:
    """Whether a mount still keeps a namespace where a path led to it."""
    if _OF_PROCESS.fullmatch(path):
        return False
    elsewhere = _ELSEWHERE.match(path)
    listed = each_mount(f"{elsewhere[1]}/mountinfo" if elsewhere else MOUNTINFO)
    try:
        return any(number_in(one.root) == number for one in listed)
    except OSError:
        return False


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Whatever this thread opens inside belongs to that namespace.

    Args:
        namespace: a descriptor of it.

    Raises:
        OSError: it may not be entered (CAP_SYS_ADMIN), or, at the end, not be left.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(libc, namespace)
        try:
            yield
        finally:
            _enter(libc, back)
    finally:
        os.close(back)


def of_socket(folder: str, descriptor: int) -> int:
    """A descriptor of the namespace that somebody's socket belongs to.

    Args:
        folder: of the process or thread, below /proc.
        descriptor: its number there.

    Raises:
        OSError: it may not be known (ptrace access), or the socket is gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    holder = _handle_of(int(folder.rpartition("/")[2]), is_thread="/task/" in folder)
    try:
        copy = libc.syscall(_SYS_PIDFD_GETFD, holder, descriptor, 0)
        if copy < 0:
            raise _last_error()
    finally:
        os.close(holder)
    try:
        return fcntl.ioctl(copy, _SIOCGSKNS)
    finally:
        os.close(copy)


def _handle_of(number: int, *, is_thread: bool) -> int:
    """A pidfd; Linux before 6.9 has none of threads, and says so with an error."""
    return os.pidfd_open(number, _PIDFD_THREAD if is_thread else 0)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
