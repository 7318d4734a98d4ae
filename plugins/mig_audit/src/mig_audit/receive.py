"""Takes many datagrams from a socket with one system call: recvmmsg(2), through ctypes.

Python's own ``recv`` costs a system call and a change of threads for every record; while another thread works, each
such change waits for the interpreter's lock (up to 5 ms). ``recvmmsg`` with MSG_DONTWAIT, called without giving up that
lock, takes a hundred records in the time of a few. Where the C library has none, ``recv`` does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from typing import Protocol

from mig_audit import netlink

BATCH = 128
SLOT = 9216
"""Bytes for one datagram: more than the longest message and its header."""


class Overrun(Exception):
    """The socket's buffer was full and the kernel dropped something (ENOBUFS). Never leaves this plugin."""


class Receiver(Protocol):
    """Takes what has arrived, without waiting."""

    def take(self) -> list[tuple[int, str]]:
        """Type and text of at most ``BATCH`` messages; empty when there are none.

        Raises:
            Overrun: something was dropped before what comes next.
            OSError: the socket cannot be used any more.
        """
        ...


def receiver(opened: socket.socket) -> Receiver:
    """The fastest receiver there is here."""
    try:
        return Many(opened)
    except (AttributeError, OSError):
        return OneByOne(opened)


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr of recvmmsg(2): a struct msghdr, then how many bytes were received."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),  # an int, and what fills it up to the alignment of the structure
        ("received", ctypes.c_size_t),  # likewise
    )


class _Address(ctypes.Structure):
    """struct sockaddr_nl."""

    _fields_ = (
        ("family", ctypes.c_uint16),
        ("pad", ctypes.c_uint16),
        ("port", ctypes.c_uint32),
        ("groups", ctypes.c_uint32),
    )


class Many:
    """recvmmsg(2)."""

    def __init__(self, opened: socket.socket) -> None:
        """Prepares the buffers.

        Raises:
            AttributeError: this C library has no recvmmsg.
        """
        self._call = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._descriptor = opened.fileno()
        self._buffer = ctypes.create_string_buffer(BATCH * SLOT)
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        self._addresses = (_Address * BATCH)()
        for index in range(BATCH):
            self._vectors[index].base = ctypes.addressof(self._buffer) + index * SLOT
            self._vectors[index].length = SLOT
            message = self._messages[index]
            message.name = ctypes.addressof(self._addresses) + index * ctypes.sizeof(_Address)
            message.name_length = ctypes.sizeof(_Address)
            message.vectors = ctypes.addressof(self._vectors) + index * ctypes.sizeof(_Vector)
            message.vector_count = 1
        self._view = memoryview(self._buffer).cast("B")
        self._types = self._view.cast("H")
        self._lengths = memoryview(self._messages).cast("B").cast("I")
        self._senders = memoryview(self._addresses).cast("B").cast("I")
        self._stride = ctypes.sizeof(_Message) // 4
        padding = 0 if sys.byteorder == "little" else ctypes.sizeof(ctypes.c_size_t) - 4
        self._received = (_Message.received.offset + padding) // 4

    def take(self) -> list[tuple[int, str]]:
        """See :class:`Receiver`."""
        count = self._call(self._descriptor, self._messages, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.EINTR):
                return []
            if number == errno.ENOBUFS:
                raise Overrun
            raise OSError(number, os.strerror(number))
        view, types, lengths, senders = self._view, self._types, self._lengths, self._senders
        stride, place = self._stride, self._received
        taken = []
        start = 0
        for index in range(count):
            length = lengths[index * stride + place]
            if length >= 16 and not senders[index * 3 + 1]:  # the kernel's port is 0
                text = str(view[start + 16 : start + length], "utf-8", "backslashreplace")
                taken.append((types[(start >> 1) + 2], text))
            start += SLOT
        return taken


class OneByOne:
    """recvfrom(2)."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._overrun = False

    def take(self) -> list[tuple[int, str]]:
        """See :class:`Receiver`."""
        if self._overrun:
            self._overrun = False
            raise Overrun
        taken: list[tuple[int, str]] = []
        while len(taken) < BATCH:
            try:
                datagram, sender = self._socket.recvfrom(SLOT, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._overrun = True
                break
            message = netlink.unpack(datagram)
            if message is not None and sender[0] == 0:
                taken.append((message.type, message.payload.decode("utf-8", "backslashreplace")))
        return taken
