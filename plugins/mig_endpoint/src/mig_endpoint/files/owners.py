"""User and group ids of names, from the endpoint's own files (passwd(5), group(5)).

No name service is asked: that could go over the network, and wait for it. Where the endpoint has one
(nsswitch.conf(5)), a name that its files do not have may still be an account's.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, BinaryIO

from mig_endpoint.files.opening import is_file, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWD = ("/etc/passwd", "/usr/lib/passwd", "/lib/passwd", "/var/lib/extrausers/passwd")
"""The accounts, also those that image-based systems (nss-altfiles) and Ubuntu Core keep elsewhere."""
GROUP = ("/etc/group", "/usr/lib/group", "/lib/group", "/var/lib/extrausers/group")
NSSWITCH = "/etc/nsswitch.conf"
MAX_LINE = 1 << 20
"""Bytes of a line that are taken as one; what follows would be another line. glibc takes about as much."""
_OWN = frozenset({"files", "systemd", "altfiles", "extrausers"})


def user_ids(name: str) -> set[int]:
    """The user ids of a name, or the one that it is as a number."""
    return _ids(name, PASSWD)


def group_ids(name: str) -> set[int]:
    """The group ids of a name, or the one that it is as a number."""
    return _ids(name, GROUP)


def all_names_are_known(database: str, nsswitch: str = NSSWITCH) -> bool:
    """Whether the endpoint has no accounts but those of its files. ``database``: ``passwd`` or ``group``."""
    for line in lines_of(nsswitch):
        name, _, services = os.fsdecode(line).partition("#")[0].partition(":")
        if name.strip() == database:
            return {word for word in services.split() if not word.startswith("[")} <= _OWN
    return True


def _ids(name: str, files: tuple[str, ...]) -> set[int]:
    if name.isascii() and name.isdigit():
        return {int(name)}
    wanted = os.fsencode(name)
    found = set()
    for path in files:
        for line in lines_of(path):
            fields = line.split(b":")
            if len(fields) >= 3 and fields[0] == wanted and fields[2].isdigit():
                found.add(int(fields[2]))
    return found


def lines_of(path: str) -> Iterator[bytes]:
    """The lines of one of these files, all of them, without their ends; none where it cannot be read."""
    with contextlib.suppress(OSError), _opened(path) as stream:
        while line := stream.readline(MAX_LINE):
            yield line.removesuffix(b"\n")


def content_of(path: str, limit: int) -> bytes:
    """At most so many bytes of a regular file; a FIFO is not waited for.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    with _opened(path) as stream:
        return stream.read(limit)


def _opened(path: str) -> BinaryIO:
    descriptor = open_file(path, None, follow=True)
    if not is_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return open(descriptor, "rb")
