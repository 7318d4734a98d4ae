"""The kernel's calls for watching files: fanotify, inotify, file handles. Sources: fanotify(7), fanotify_init(2),
fanotify_mark(2), inotify(7), open_by_handle_at(2); ``include/uapi/linux/fanotify.h`` (Linux 6.18).

Only calls and numbers; :mod:`mig_fswatch.fanotify` and :mod:`mig_fswatch.inotify` know what they mean.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from functools import cache
from typing import Any

# fanotify_init(2)
CLOEXEC, NONBLOCK, UNLIMITED_QUEUE, UNLIMITED_MARKS = 0x1, 0x2, 0x10, 0x20
REPORT_PIDFD, REPORT_FID, REPORT_DIR_FID, REPORT_NAME = 0x80, 0x200, 0x400, 0x800
# fanotify_mark(2)
MARK_ADD, MARK_REMOVE, MARK_FILESYSTEM = 0x1, 0x2, 0x100
MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, OVERFLOW, RENAME = 0x100, 0x200, 0x4000, 0x10000000
ON_CHILD, ON_DIRECTORY = 0x08000000, 0x40000000
# kinds of what stands behind an event
INFO_FID, INFO_DFID_NAME, INFO_DFID, INFO_PIDFD, INFO_OLD, INFO_NEW = 1, 2, 3, 4, 10, 12
# inotify(7); the numbers of events are fanotify's
IN_UNMOUNT, IN_IGNORED, IN_IS_DIRECTORY = 0x2000, 0x8000, 0x40000000
IN_ONLY_DIRECTORY, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_MASK_ADD = 0x01000000, 0x02000000, 0x04000000, 0x20000000

_AT_EMPTY_PATH, _AT_HANDLE_FID = 0x1000, 0x200
_HANDLE_BYTES = 128
"""MAX_HANDLE_SZ."""
_HANDLE = struct.Struct("=Ii")


@cache
def _call(name: str) -> Any:
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if name == "fanotify_mark":
        function.argtypes = (ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p)
    return function


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def fanotify_init(flags: int) -> int:
    """A new group's descriptor.

    Raises:
        OSError: not allowed, or not known to this kernel.
    """
    return _checked(_call("fanotify_init")(flags, os.O_RDONLY | os.O_CLOEXEC))


def fanotify_mark(group: int, flags: int, mask: int, fd: int) -> None:
    """Marks what a descriptor (not one of ``O_PATH``) leads to.

    Raises:
        OSError: not allowed, or its file system cannot be marked so.
    """
    _checked(_call("fanotify_mark")(group, flags, mask, fd, None))


def inotify_init() -> int:
    """A new instance's descriptor.

    Raises:
        OSError: there are too many.
    """
    return _checked(_call("inotify_init1")(os.O_CLOEXEC | os.O_NONBLOCK))


def inotify_watch(instance: int, path: bytes, mask: int) -> int:
    """Watches a path; gives the watch's number, the same for the same inode.

    Raises:
        OSError: it is not there, may not be read, or there are too many watches (ENOSPC).
    """
    return _checked(_call("inotify_add_watch")(instance, path, mask))


def inotify_forget(instance: int, watch: int) -> None:
    """Ends a watch, if there is such a one."""
    _call("inotify_rm_watch")(instance, watch)


@cache
def _handle_flags() -> list[int]:
    # Without AT_HANDLE_FID (Linux 6.5) overlayfs and others give no handle at all.
    return [_AT_EMPTY_PATH | _AT_HANDLE_FID, _AT_EMPTY_PATH]


def handle_of(fd: int) -> bytes:
    """What events call the file or directory behind a descriptor: file system id, type of handle, handle.

    Raises:
        OSError: its file system has no handles.
    """
    buffer = ctypes.create_string_buffer(_HANDLE.size + _HANDLE_BYTES)
    mount = ctypes.c_int()
    failure = OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    for flags in _handle_flags():
        _HANDLE.pack_into(buffer, 0, _HANDLE_BYTES, 0)
        try:
            _checked(_call("name_to_handle_at")(fd, b"", buffer, ctypes.byref(mount), flags))
        except OSError as error:
            failure = error
            continue
        size, kind = _HANDLE.unpack_from(buffer)
        return fsid_of(fd) + _HANDLE.pack(size, kind) + buffer.raw[_HANDLE.size : _HANDLE.size + size]
    raise failure


def fsid_of(fd: int) -> bytes:
    """The file system's id, as events have it (statfs(2)); zeros where it has none."""
    return struct.pack("=Q", os.fstatvfs(fd).f_fsid)
