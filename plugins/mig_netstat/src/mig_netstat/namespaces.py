"""Going into network namespaces: a connection that is made inside keeps its namespace, this thread comes back.

Sources: setns(2), network_namespaces(7), pidfd_getfd(2), ``SIOCGSKNS`` (``linux/sockios.h``).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.files.mounts import read_mounts
from mig_netstat.socket_record import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CLONE_NEWNET = 0x40000000
_SIOCGSKNS = 0x894C
_SYS_PIDFD_GETFD = 438
_NAMED = re.compile(r"net:\[(\d+)\]")


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


def known(found: Mapping[int, str]) -> dict[int, str]:
    """Every namespace that is known of, and a path that leads to it; our own is the first, its path is empty.

    Args:
        found: those of processes. Those that a mount keeps, as ``ip netns`` does it, come with them.
    """
    mine = own()
    mounted = {number: mount.point for mount in read_mounts().all if (number := number_in(mount.root))}
    return {mine: "", **{number: path for number, path in {**mounted, **found}.items() if number != mine}}


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


def of_socket(thread: int, descriptor: int) -> int:
    """A descriptor of the namespace that somebody's socket belongs to.

    Raises:
        OSError: it may not be known (ptrace access), or the socket is gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    holder = os.pidfd_open(thread)
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


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
