"""Asks the kernel which eBPF programs and links it has (bpf(2), include/uapi/linux/bpf.h of 6.18); changes nothing."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351, "loongarch64": 280}
_PROGRAM_NEXT, _PROGRAM_FD, _INFO, _LINK_FD, _LINK_NEXT = 11, 13, 15, 30, 31
_ENOENT, _ENOSYS = 2, 38
_TYPES = (
    "unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
    "cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
    "cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
    "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall",
    "netfilter",
)  # fmt: skip
_SIZE = 256
MAX_IDS = 100_000


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is loaded."""

    number: int
    type: str
    name: str
    tag: str
    uid: int
    loaded: int
    """Nanoseconds after the boot."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that attaches a program."""

    number: int
    program: int


def programs() -> Iterator[Program]:
    """Every program.

    Raises:
        OSError: the kernel may not be asked, or has no such call.
    """
    for number in _numbers(_PROGRAM_NEXT):
        info = _info(_PROGRAM_FD, number)
        if info is not None:
            kind, _, tag = struct.unpack_from("=II8s", info)
            (loaded, uid) = struct.unpack_from("=QI", info, 40)
            name = info[64:80].partition(b"\0")[0].decode("ascii", "replace")
            word = _TYPES[kind] if kind < len(_TYPES) else str(kind)
            yield Program(number, word, name, tag.hex(), uid, loaded)


def links() -> Iterator[Link]:
    """Every link.

    Raises:
        OSError: as :func:`programs`.
    """
    for number in _numbers(_LINK_NEXT):
        info = _info(_LINK_FD, number)
        if info is not None:
            yield Link(number, struct.unpack_from("=I", info, 8)[0])


def _numbers(command: int) -> Iterator[int]:
    last = 0
    for _ in range(MAX_IDS):
        attributes = bytearray(struct.pack("=III", last, 0, 0).ljust(128, b"\0"))
        try:
            _bpf(command, attributes)
        except OSError as error:
            if error.errno == _ENOENT:
                return
            raise
        (last,) = struct.unpack_from("=I", attributes, 4)
        yield last


def _info(command: int, number: int) -> bytes | None:
    """What the kernel tells of an id; None when it is gone meanwhile."""
    try:
        descriptor = _bpf(command, bytearray(struct.pack("=III", number, 0, 0).ljust(128, b"\0")))
    except OSError as error:
        if error.errno == _ENOENT:
            return None
        raise
    try:
        buffer = ctypes.create_string_buffer(_SIZE)
        _bpf(_INFO, bytearray(struct.pack("=IIQ", descriptor, _SIZE, ctypes.addressof(buffer)).ljust(128, b"\0")))
        return buffer.raw
    finally:
        os.close(descriptor)


def _bpf(command: int, attributes: bytearray) -> int:
    number = _CALLS.get(os.uname().machine)
    if number is None:
        raise OSError(_ENOSYS, os.strerror(_ENOSYS))
    call = ctypes.CDLL(None, use_errno=True).syscall
    raw = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    result = call(ctypes.c_long(number), ctypes.c_int(command), raw, ctypes.c_uint(len(attributes)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
