"""Our netlink beside pyroute2's: the same bytes, the same status, the same rules, the same events.

pyroute2 has no messages of auditing; what ``linux/audit.h`` says of their fields is written down here once more, in
pyroute2's own way, and its code packs, sends, receives and takes apart.
"""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
import threading
from dataclasses import asdict
from socket import SOL_SOCKET
from typing import TYPE_CHECKING, Any

import pytest
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, nlmsg
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket, NetlinkSocket

from mig_audit import AuditModule, netlink, rule_fields, rule_line
from mig_audit.kernel import KernelRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_audit.kernel import Kernel

FAMILY = 9  # NETLINK_AUDIT
GET, SET, ADD_RULE, LIST_RULES = 1000, 1001, 1011, 1013
FILE_RULE = "-w /etc/shadow -p wa -k of-the-peer"
EXEC = "-a always,exit -F arch=b64 -S execve -k of-the-peer"


class AuditStatus(nlmsg):  # type: ignore[misc]  # pyroute2 has no types
    """struct audit_status."""

    fields = tuple(
        (name, "I")
        for name in (
            *("mask", "enabled", "failure", "pid", "rate_limit", "backlog_limit", "lost", "backlog", "features"),
            "backlog_wait_time",
        )
    )


class AuditRule(nlmsg):  # type: ignore[misc]  # as above
    """struct audit_rule_data, with the strings that follow it."""

    fields = (
        *(("flags", "I"), ("action", "I"), ("field_count", "I")),
        *(("mask", "64I"), ("fields", "64I"), ("values", "64I"), ("fieldflags", "64I"), ("buflen", "I")),
    )

    def strings(self) -> bytes:
        """What follows."""
        start = self.offset + 16 + struct.calcsize("".join(form for _name, form in self.fields))
        return bytes(self.data[start : start + self["buflen"]])


class Peer:
    """A socket of pyroute2's for auditing."""

    def __init__(self, socket: NetlinkSocket) -> None:
        self._socket = socket
        socket.asyncore.marshal.msg_map = {GET: AuditStatus, LIST_RULES: AuditRule}
        socket.bind()

    def status(self) -> dict[str, int]:
        """The kernel's answer to a GET."""
        (answer,) = self._ask(nlmsg(), GET, NLM_F_REQUEST)
        return {name: answer[name] for name, _form in AuditStatus.fields}

    def rules(self) -> list[AuditRule]:
        """All rules that are loaded."""
        return self._ask(nlmsg(), LIST_RULES, NLM_F_REQUEST)

    def command(self, kind: int, message: nlmsg) -> None:
        """Something that is only acknowledged."""
        (answer,) = self._ask(message, kind, NLM_F_REQUEST | NLM_F_ACK)
        assert answer["header"]["type"] == NLMSG_ERROR

    def _ask(self, message: nlmsg, kind: int, flags: int) -> list[Any]:
        return list(self._socket.nlm_request(message, kind, flags))


@pytest.fixture
def peer(audit_kernel: Kernel) -> Iterator[Peer]:
    with NetlinkSocket(family=FAMILY) as opened:
        yield Peer(opened)


def encoded(message: nlmsg, kind: int, flags: int, sequence: int) -> bytes:
    """The bytes that pyroute2 makes of a message."""
    message["header"].update({"type": kind, "flags": flags, "sequence_number": sequence, "pid": 0})
    message.encode()
    return bytes(message.data)


def packed(line: str) -> bytes:
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
    assert made is not None
    return made.pack()


def test_requests_have_the_bytes_that_pyroute2_makes() -> None:
    values = dict(zip((name for name, _form in AuditStatus.fields), range(0x01020304, 0x01020304 + 10), strict=True))

    theirs = encoded(AuditStatus().load(values), SET, NLM_F_REQUEST | NLM_F_ACK, 4711)
    question = encoded(nlmsg(), GET, NLM_F_REQUEST, 1)

    assert netlink.pack(netlink.SET, 4711, netlink.Status(**values).pack()) == theirs
    assert netlink.pack(netlink.GET, 1, b"", acknowledge=False) == question


def test_what_pyroute2_packs_we_take_apart() -> None:
    values = {"mask": 63, "enabled": 2, "pid": 4711, "lost": 0xFFFFFFFF, "backlog_wait_time": 15_000}

    message = netlink.unpack(encoded(AuditStatus().load(values), GET, 0, 7))

    assert message is not None
    assert (message.type, message.sequence) == (netlink.GET, 7)
    assert netlink.read_status(message.payload) == netlink.Status(**values)


def test_both_read_the_same_status(audit_kernel: Kernel, peer: Peer) -> None:
    audit_kernel.change(netlink.Status(mask=netlink.BACKLOG_LIMIT, backlog_limit=12_345), "a value to be seen")

    theirs, ours = peer.status(), asdict(audit_kernel.status())

    assert theirs == ours
    assert theirs["backlog_limit"] == 12_345


def test_what_pyroute2_sets_we_see(audit_kernel: Kernel, peer: Peer) -> None:
    peer.command(SET, AuditStatus().load({"mask": 0x10 | 0x20, "backlog_limit": 4321, "backlog_wait_time": 7}))

    status = audit_kernel.status()

    assert (status.backlog_limit, status.backlog_wait_time) == (4321, 7)


def test_both_list_the_rule_that_we_loaded(audit_kernel: Kernel, peer: Peer) -> None:
    audit_kernel.add(packed(FILE_RULE), FILE_RULE)

    (theirs,) = peer.rules()

    watch, permission, key = 105, 106, 210
    assert (theirs["flags"], theirs["action"], theirs["field_count"]) == (4, 2, 3)
    assert theirs["fields"][:4] == (watch, permission, key, 0)
    assert theirs["values"][:3] == (len("/etc/shadow"), 0b1010, len("of-the-peer"))
    assert theirs.strings() == b"/etc/shadowof-the-peer"
    assert [bytes(theirs.data[16 : 16 + len(one)]) for one in audit_kernel.rules()] == audit_kernel.rules()


def test_a_rule_that_pyroute2_loads_is_the_one_that_we_pack(audit_kernel: Kernel, peer: Peer) -> None:
    rest, execve, equal = [0] * 62, 59, 0x40000000
    rule = AuditRule().load(
        {
            "flags": 4,
            "action": 2,
            "field_count": 2,  # the exit list, always
            "mask": [1 << execve % 32 if word == execve // 32 else 0 for word in range(64)],
            "fields": [11, 210, *rest],  # arch, key
            "values": [0xC000003E, len("of-the-peer"), *rest],
            "fieldflags": [equal, equal, *rest],
            "buflen": len("of-the-peer"),
        }
    )
    rule.fields = (*AuditRule.fields, ("text", "11s"))
    rule["text"] = b"of-the-peer"

    peer.command(ADD_RULE, rule)

    with pytest.raises(KernelRefused, match="File exists"):
        audit_kernel.add(packed(EXEC), EXEC)
    audit_kernel.delete(packed(EXEC), EXEC)
    assert peer.rules() == []


def test_both_hear_of_the_same_events(audit_kernel: Kernel, make_service: Callable[..., Any]) -> None:
    service = make_service({"rules": [EXEC]})
    thread = threading.Thread(target=AuditModule().serve, args=(service,))
    thread.start()
    try:
        service.wait_for(lambda: service.handler is not None)
        heard = asyncio.run(asyncio.wait_for(listen(runs=50), 120))
        service.wait_for(lambda: serial_of(service, "the last"))
    finally:
        service.stopping.set()
        thread.join()

    # Others on this machine start programs, too, and did so before the peer listened.
    first, last = serial_of(service, "the first"), serial_of(service, "the last")
    serials = {one["serial"] for one in service.alerts if one.get("keys") == ["of-the-peer"]}
    between = {serial for serial in serials if first <= serial <= last}
    assert len(between) >= 52
    assert {serial for serial in heard if serial >= first} == between


def serial_of(service: Any, argument: str) -> int:
    """Of the event of a program that was started with it; 0 while there is none."""
    return next((one["serial"] for one in service.alerts if argument in one.get("process", {}).get("arguments", ())), 0)


async def listen(runs: int) -> set[int]:
    """The serials of our rule's system calls, as pyroute2 hears them on the multicast group, until the last program."""
    found: set[int] = set()
    async with AsyncNetlinkSocket(family=FAMILY) as socket:
        socket.socket.setsockopt(SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: to nobody is anything said again
        await socket.bind(groups=1)  # AUDIT_NLGRP_READLOG
        work = asyncio.create_task(asyncio.to_thread(run, runs))
        last = 0
        while last not in found:
            async for message in socket.get():
                text = bytes(message.data[16:]).decode("ascii", "replace")
                serial = int(text[: text.find(")")].rpartition(":")[2])
                if re.search(r' key="of-the-peer"', text):
                    found.add(serial)
                if message["header"]["type"] == 1309 and "a1=746865206C617374" in text:  # "the last", in hexadecimal
                    last = serial
        await work
    return found


def run(number: int) -> None:
    subprocess.run(["/bin/true", "the first"], check=True)
    for _ in range(number):
        subprocess.run(["/bin/true"], check=True)
    subprocess.run(["/bin/true", "the last"], check=True)
