"""What a file has beside its status: the time of its birth, extended attributes, capabilities.

Sources: statx(2) and ``include/uapi/linux/stat.h``; xattr(7); capabilities(7) and ``include/uapi/linux/capability.h``
(Linux 6.18); the text of capabilities is getcap(8)'s.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from mig_endpoint.capabilities import capability_name

if TYPE_CHECKING:
    from mig_endpoint.files.calls import Calls

_AT_SYMLINK_NOFOLLOW, _AT_NO_AUTOMOUNT = 0x100, 0x800
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_MASK, _BIRTH = struct.Struct("=I"), struct.Struct("=qI")
_BIRTH_AT = 80
_NS = 1_000_000_000
CAPABILITY = "security.capability"
"""The extended attribute in which the kernel keeps a file's capabilities."""
_REVISION, _EFFECTIVE = 0xFF000000, 1
_WORDS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}
"""Revision -> pairs of 32 bits, permitted and inheritable; the third has the user id of a namespace's root behind."""
_ROOT_ID_REVISION = 0x03000000


def birth_time(name: str, directory: int, *, follow: bool) -> int | None:
    """When an entry was made, in nanoseconds since 1970; None where the file system or the C library does not know.

    Args:
        name: relative to ``directory``, an open descriptor.
        directory: see ``name``.
        follow: of what a link leads to, instead of its own.

    Raises:
        OSError: it is not there, or may not be asked for.
    """
    import ctypes  # a module that asks for no attribute does not wait for it

    statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
    if statx is None:
        return None
    status = ctypes.create_string_buffer(_STATX_SIZE)
    flags = _AT_NO_AUTOMOUNT | (0 if follow else _AT_SYMLINK_NOFOLLOW)
    if statx(directory, os.fsencode(name), flags, _STATX_BTIME, status):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    (mask,) = _MASK.unpack_from(status)
    if not mask & _STATX_BTIME:
        return None
    seconds, fraction = _BIRTH.unpack_from(status, _BIRTH_AT)
    return int(seconds) * _NS + int(fraction)


def extended_attributes(name: str, directory: int, *, follow: bool, calls: Calls) -> dict[str, bytes]:
    """The extended attributes of an entry; none where the file system has no such thing.

    Those named ``trusted.`` are shown to root only. An attribute's value has at most 64 KiB.

    Args:
        name: relative to ``directory``, an open descriptor.
        directory: see ``name``.
        follow: of what a link leads to, instead of its own.
        calls: who asks the operating system.

    Raises:
        OSError: it is not there, or may not be read.
    """
    path = f"/proc/self/fd/{directory}/{name}"  # there is no listxattrat(2) before Linux 6.13
    return calls.call(_all_of, path, follow)


def _all_of(path: str, follow: bool) -> dict[str, bytes]:
    try:
        names = os.listxattr(path, follow_symlinks=follow)
    except OSError as failure:
        if failure.errno == errno.ENOTSUP:
            return {}
        raise
    values = {}
    for name in names:
        try:
            values[name] = os.getxattr(path, name, follow_symlinks=follow)
        except OSError as failure:
            if failure.errno != errno.ENODATA:  # it was taken away since
                raise
    return values


def capabilities_text(value: bytes) -> str:
    """The text of a ``security.capability`` attribute: ``cap_net_raw=ep``; empty where it is none that is known.

    Capabilities with the same flags stand together, groups are separated by a blank. Behind them, in brackets, the user
    id of the root of the user namespace in which they count, where it is not the first one: ``[rootid=1000]``.
    """
    if len(value) < 4:
        return ""
    (head,) = struct.unpack_from("<I", value)
    pairs = _WORDS.get(head & _REVISION, 0)
    needed = 4 + 8 * pairs + (4 if head & _REVISION == _ROOT_ID_REVISION else 0)
    if not pairs or len(value) < needed:
        return ""
    permitted = inheritable = 0
    for place in range(pairs):
        low, high = struct.unpack_from("<II", value, 4 + 8 * place)
        permitted |= low << 32 * place
        inheritable |= high << 32 * place
    groups: dict[str, list[str]] = {}
    for number in range(32 * pairs):
        p, i = permitted >> number & 1, inheritable >> number & 1
        if p or i:
            flags = ("e" if head & _EFFECTIVE else "") + ("i" if i else "") + ("p" if p else "")
            groups.setdefault(flags, []).append(_capability(number))
    text = " ".join(f"{','.join(names)}={flags}" for flags, names in groups.items())
    root = struct.unpack_from("<I", value, 4 + 8 * pairs)[0] if needed > 4 + 8 * pairs else 0
    return f"{text} [rootid={root}]" if root else text


def _capability(number: int) -> str:
    return f"cap_{capability_name(number)}"
