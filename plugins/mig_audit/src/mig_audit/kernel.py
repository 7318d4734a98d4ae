"""A conversation with the kernel's audit subsystem: requests and their answers, on a socket of their own.

Sources: ``linux/audit.h``; kernel/audit.c (audit_receive_msg) for what is answered how.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from typing import TYPE_CHECKING

from mig_audit import netlink
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANSWER_SECONDS = 5.0
_RECEIVE = 65_536


class KernelRefused(MigError):
    """The kernel did not do what was asked. ``number`` is its errno."""

    def __init__(self, problem: str, number: int) -> None:
        super().__init__(f"{problem}: {os.strerror(number)}", next_step=_NEXT_STEP.get(number, ""))
        self.number = number


_NEXT_STEP = {
    errno.EPERM: "the agent needs CAP_AUDIT_CONTROL in the initial user namespace, and rules must not be locked",
    errno.ECONNREFUSED: "auditing needs the initial user and pid namespaces: see the module's page",
    errno.EPROTONOSUPPORT: "this kernel was built without auditing",
}


class Kernel:
    """Asks the kernel. Not thread-safe: one owner."""

    def __init__(self) -> None:
        """Opens the socket.

        Raises:
            KernelRefused: no auditing in this kernel.
        """
        self.socket = open_socket()
        self._sequence = 0

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close()

    def status(self) -> netlink.Status:
        """The kernel's status.

        Raises:
            KernelRefused: no right to ask.
        """
        for message in self._ask(netlink.GET, b"", acknowledge=False):
            if message.type == netlink.GET:
                return netlink.read_status(message.payload)
        raise KernelRefused("audit status", errno.ETIMEDOUT)

    def change(self, status: netlink.Status, what: str) -> None:
        """Sets the members of the status that its mask names.

        Raises:
            KernelRefused: the kernel said no.
        """
        self._command(netlink.SET, status.pack(), what)

    def add(self, packed: bytes, what: str) -> None:
        """Loads a rule.

        Raises:
            KernelRefused: EEXIST when there is the same already.
        """
        self._command(netlink.ADD_RULE, packed, what)

    def delete(self, packed: bytes, what: str) -> None:
        """Removes a rule.

        Raises:
            KernelRefused: ENOENT when there is none.
        """
        self._command(netlink.DEL_RULE, packed, what)

    def rules(self) -> list[bytes]:
        """All rules that are loaded, packed.

        Raises:
            KernelRefused: no right to ask.
        """
        found = []
        for message in self._ask(netlink.LIST_RULES, b"", acknowledge=False):
            if message.type == netlink.NLMSG_DONE:
                break
            if message.type == netlink.LIST_RULES:
                found.append(message.payload)
        return found

    def write(self, kind: int, text: bytes) -> None:
        """Writes a record of a program (types 1100 to 1199, 2100 to 2999); needs CAP_AUDIT_WRITE.

        Raises:
            KernelRefused: the kernel said no.
        """
        self._command(kind, text, "record of a program")

    def _command(self, kind: int, payload: bytes, what: str) -> None:
        for message in self._ask(kind, payload, what):
            if message.type == netlink.NLMSG_ERROR:
                return

    def _ask(
        self, kind: int, payload: bytes, what: str = "audit request", *, acknowledge: bool = True
    ) -> Iterator[netlink.Message]:
        self._sequence += 1
        try:
            self.socket.send(netlink.pack(kind, self._sequence, payload, acknowledge=acknowledge))
        except OSError as error:  # a rule that is too long for the socket
            raise KernelRefused(what, error.errno or 0) from error
        yield from answers(self.socket, self._sequence, what, lambda _datagram: None)


def open_socket(groups: int = 0) -> socket.socket:
    """A netlink socket for auditing, bound.

    Args:
        groups: multicast groups as a bit mask.

    Raises:
        KernelRefused: no auditing in this kernel, or no right to listen to the group.
    """
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETLINK_AUDIT)
    except OSError as error:
        raise KernelRefused("audit socket", error.errno or 0) from error
    try:
        opened.bind((0, groups))
    except OSError as error:
        opened.close()
        raise KernelRefused("audit socket", error.errno or 0) from error
    return opened


def answers(
    asked: socket.socket, sequence: int, what: str, on_other: Callable[[bytes], None]
) -> Iterator[netlink.Message]:
    """The kernel's messages that answer one request; everything else that arrives goes to ``on_other``.

    Raises:
        KernelRefused: it answered with an error, or not within ``ANSWER_SECONDS``.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    poller = select.poll()
    poller.register(asked, select.POLLIN)
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(remaining * 1000):
            raise KernelRefused(what, errno.ETIMEDOUT)
        datagram, sender = asked.recvfrom(_RECEIVE)
        message = netlink.unpack(datagram)
        if sender[0] != 0 or message is None:
            continue  # only the kernel has port 0; another process may write to a netlink socket too
        if message.sequence != sequence:
            on_other(datagram)
            continue
        if message.type == netlink.NLMSG_ERROR:
            number = netlink.error_number(message)
            if number:
                raise KernelRefused(what, number)
        yield message
