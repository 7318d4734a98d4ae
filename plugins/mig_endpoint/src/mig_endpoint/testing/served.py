"""A file system that a program serves, and that can stop answering: FUSE without libfuse. Source: fuse(4),
``include/uapi/linux/fuse.h`` (7.31).

One folder with files of given contents. Needs root and /dev/fuse.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOOKUP, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE, _INIT, _OPENDIR, _READDIR, _RELEASEDIR = (
    1,
    3,
    14,
    15,
    17,
    18,
    26,
    27,
    28,
    29,
)
_FORGETTING = (2, 36, 42)
"""FORGET, INTERRUPT and BATCH_FORGET want no answer."""
_ENOENT, _ENOSYS = 2, 38
_IN = struct.Struct("=IIQQIIII")
_OUT = struct.Struct("=IiQ")
_LONG = 3600
"""Seconds that the kernel may keep what it was told, so that names stay known when the server stops."""


@contextlib.contextmanager
def served(
    files: Mapping[str, bytes], *, kind: str = "fuse.mig", point: Path | None = None, lists: bool = True
) -> Iterator[tuple[Path, int]]:
    """Mounts the file system; gives its folder, and the server's process id, to be stopped with SIGSTOP.

    ``kind``: as which type. ``point``: on which folder; None: a new one. ``lists``: False where the server takes the
    question what is in the folder, and never answers. Files must not be open, or be mapped, by the
    caller when the server is stopped: its children would wait for ever.
    """
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        service_missing("serving a file system needs root and /dev/fuse")
    made = Path(tempfile.mkdtemp(prefix="mig-served-")) if point is None else None
    point = point or made or Path()
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions".encode()
    if libc.mount(b"mig", os.fsencode(point), kind.encode(), 0, options):
        os.close(device)
        if made:
            made.rmdir()
        service_missing(f"fuse cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    server = os.fork()
    if server == 0:
        try:
            _serve(device, dict(enumerate(files.items(), start=2)), lists=lists)
        finally:
            os._exit(0)
    os.close(device)
    try:
        yield point, server
    finally:
        os.kill(server, signal.SIGKILL)  # the connection ends with it, and with that whatever waits
        os.waitpid(server, 0)
        libc.umount2(os.fsencode(point), 2)
        if made:
            made.rmdir()


@contextlib.contextmanager
def taking(point: Path) -> Iterator[None]:
    """Mounts a file system on a folder that takes the question what is in it, and never answers."""
    with served({}, point=point, lists=False):
        yield


@contextlib.contextmanager
def hanging(point: Path, kind: str = "fuse.mig") -> Iterator[None]:
    """Mounts an empty file system on a folder, and stops its server."""
    with served({}, kind=kind, point=point) as (_, server):
        os.kill(server, signal.SIGSTOP)
        yield


def _serve(device: int, files: dict[int, tuple[str, bytes]], *, lists: bool) -> None:
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return
        _, kind, unique, node, *_ = _IN.unpack_from(request)
        if kind == _READDIR and not lists:
            continue
        answer = _answer(kind, node, request[_IN.size :], files)
        if answer is not None:
            problem, body = (answer, b"") if isinstance(answer, int) else (0, answer)
            os.write(device, _OUT.pack(_OUT.size + len(body), -problem, unique) + body)


def _answer(kind: int, node: int, body: bytes, files: dict[int, tuple[str, bytes]]) -> bytes | int | None:
    if kind == _INIT:
        return struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 1 << 17, 1, 0, 0, 0, *[0] * 7)
    if kind == _LOOKUP:
        name = body.rstrip(b"\0").decode()
        found = [number for number, (named, _) in files.items() if named == name]
        return (
            struct.pack("=QQQQII", found[0], 0, _LONG, _LONG, 0, 0) + _attributes(found[0], files) if found else _ENOENT
        )
    if kind == _GETATTR:
        return struct.pack("=QII", _LONG, 0, 0) + _attributes(node, files)
    if kind in (_OPEN, _OPENDIR):
        return struct.pack("=QII", 0, 0, 0)
    if kind == _READ:
        _, offset, size = struct.unpack_from("=QQI", body)
        return files[node][1][offset : offset + size]
    if kind == _READDIR:
        return _listing(body, files)
    if kind == _STATFS:
        return struct.pack("=5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
    if kind in (_RELEASE, _RELEASEDIR):
        return b""
    return None if kind in _FORGETTING else _ENOSYS


def _listing(body: bytes, files: dict[int, tuple[str, bytes]]) -> bytes:
    _, offset = struct.unpack_from("=QQ", body)
    entries = [(1, "."), (1, ".."), *((number, name) for number, (name, _) in files.items())]
    listed = b""
    for place, (number, name) in list(enumerate(entries, start=1))[offset:]:
        raw = name.encode()
        listed += struct.pack("=QQII", number, place, len(raw), 8) + raw + bytes(-len(raw) % 8)
    return listed


def _attributes(node: int, files: dict[int, tuple[str, bytes]]) -> bytes:
    size = len(files[node][1]) if node in files else 0
    mode = 0o100755 if node in files else 0o040755
    return struct.pack(
        "=QQQQQQIIIIIIIIII", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
    )


if sys.platform == "win32":
    raise ImportError("there is no FUSE on Windows")
