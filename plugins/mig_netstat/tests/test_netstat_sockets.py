"""Real sockets of every kind, and what their rows say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.coverage import Tally
from mig_netstat import names
from mig_netstat.handlers import Handlers

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable
    from pathlib import Path

    Rows = Callable[..., list[dict[str, Any]]]
    Start = Callable[..., subprocess.Popen[str]]

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ME = str(os.getpid())
_MPTCP = 262


def listener(family: int = socket.AF_INET, address: str = "127.0.0.1", *, dual: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    made.bind((address, 0))
    made.listen(5)
    return made


def port(made: socket.socket) -> int:
    number: int = made.getsockname()[1]
    return number


def holders(row: dict[str, Any]) -> list[str]:
    return [one.split()[0] for one in row["processes"]]


def test_a_listener_and_both_ends_of_a_connection_name_their_process(rows: Rows) -> None:
    with listener() as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        with accepted:
            found = rows(protocol=["^tcp$"], local_port=[str(port(server))])
            other = rows(protocol=["^tcp$"], remote_port=[str(port(server))], remote_address=["127.0.0.0/8"])

        assert sorted((row["state"], row["local_address"]) for row in found) == [
            ("ESTABLISHED", "127.0.0.1"),
            ("LISTEN", "127.0.0.1"),
        ]
        assert all(holders(row) == [ME] for row in (*found, *other))
        assert [(row["local_port"], row["uid"]) for row in other] == [(port(client), os.getuid())]
        assert "remote_address" not in next(row for row in found if row["state"] == "LISTEN")


def test_sockets_nobody_holds_have_no_user_rather_than_root(rows: Rows) -> None:
    with listener() as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        accepted.close()
        client.recv(1)

    waiting = [row for row in rows(state=["^TIME_WAIT$"]) if "inode" not in row]

    assert waiting
    assert all(row["uid"] is row["user"] is row["processes"] is None for row in waiting)


def test_every_process_that_holds_a_socket_is_named(rows: Rows, start: Start) -> None:
    with listener() as server:
        os.set_inheritable(server.fileno(), True)
        first = start("", pass_fds=(server.fileno(),))
        second = start("", pass_fds=(server.fileno(),))

        found = rows(local_port=[str(port(server))], state=["LISTEN"])

        assert len(found) == 1
        assert set(holders(found[0])) == {ME, str(first.pid), str(second.pid)}


def test_sockets_that_share_a_port_are_rows_of_their_own(rows: Rows, start: Start) -> None:
    made: list[socket.socket] = []
    for number in (0, None, None):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", number if number is not None else port(made[0])))
        one.listen()
        made.append(one)

    found = rows(local_port=[str(port(made[0]))], state=["LISTEN"])

    assert len({row["inode"] for row in found}) == 3
    for one in made:
        one.close()


def test_a_dual_stack_listener_says_so_and_its_ipv4_clients_are_found_by_their_address(rows: Rows) -> None:
    with (
        listener(socket.AF_INET6, "::", dual=True) as server,
        socket.create_connection(("127.0.0.1", port(server))),
        server.accept()[0],
    ):
        found = rows(local_port=[str(port(server))])
        by_address = rows(local_port=[str(port(server))], remote_address=["127.0.0.1"])
        by_its_other_form = rows(local_port=[str(port(server))], local_address=["0.0.0.0"])

    listening = next(row for row in found if row["state"] == "LISTEN")
    assert (listening["local_address"], listening["dual_stack"]) == ("::", True)
    assert [row["remote_address"] for row in by_address] == ["127.0.0.1"]
    assert [(row["local_address"], row["dual_stack"]) for row in by_its_other_form] == [("0.0.0.0", True)]
    with listener(socket.AF_INET6, "::", dual=False) as alone:
        assert "dual_stack" not in rows(local_port=[str(port(alone))])[0]
        assert rows(local_port=[str(port(alone))], local_address=["0.0.0.0"]) == []


def test_bound_sockets_that_do_not_listen_and_those_bound_to_nothing_are_there(rows: Rows) -> None:
    bound, created, datagram = socket.socket(), socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    inodes = [os.fstat(one.fileno()).st_ino for one in (bound, created, datagram)]

    found = {row.get("inode"): row for row in rows()}

    assert all(holders(found[inode]) == [ME] for inode in inodes)
    if Handlers().may_ask("tcp"):
        assert (found[inodes[0]]["state"], found[inodes[0]]["local_port"]) == ("BOUND", port(bound))
        assert (found[inodes[1]]["state"], found[inodes[1]].get("local_port")) == ("CLOSE", None)
    assert found[inodes[2]]["protocol"] == "udp"
    for one in (bound, created, datagram):
        one.close()


def test_every_socket_that_this_process_holds_has_a_row(rows: Rows) -> None:
    kinds = [
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, 0),
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)),
        (socket.AF_INET, socket.SOCK_STREAM, _MPTCP),
        (40, socket.SOCK_STREAM, 0),  # vsock
        (38, socket.SOCK_SEQPACKET, 0),  # AF_ALG
    ]
    made = []
    for kind in kinds:
        try:
            made.append(socket.socket(*kind))
        except OSError:
            continue  # not root, or this kernel has no such sockets
    by_inode = {os.fstat(one.fileno()).st_ino: one for one in made}

    found = {row["inode"]: row for row in rows() if "inode" in row}

    assert all(ME in holders(found[inode]) for inode in by_inode)
    if os.geteuid() == 0:
        packet = next(inode for inode, one in by_inode.items() if one.family == socket.AF_PACKET)
        assert found[packet]["protocol"] == "packet"
    for one in made:
        one.close()


def test_the_two_ends_of_unix_sockets_name_each_other(rows: Rows, tmp_path: pathlib.Path) -> None:
    left, right = socket.socketpair()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(b"\0mig\0test" + ME.encode())

    found = {row["inode"]: row for row in rows(protocol=["^unix"])}

    one, two = os.fstat(left.fileno()).st_ino, os.fstat(right.fileno()).st_ino
    if Handlers().may_ask("unix"):
        assert (found[one]["peer"], found[two]["peer"]) == (two, one)
    assert found[os.fstat(server.fileno()).st_ino]["path"] == str(tmp_path / "s")
    assert found[os.fstat(server.fileno()).st_ino]["state"] == "LISTEN"
    assert found[os.fstat(abstract.fileno()).st_ino]["path"] == f"@mig@test{ME}"
    for made in (left, right, server, abstract):
        made.close()


@pytest.mark.skipif(not Handlers().may_ask("unix"), reason="the kernel's unix_diag is not loaded")
def test_a_client_that_waits_to_be_accepted_has_the_listener_for_peer(rows: Rows, tmp_path: pathlib.Path) -> None:
    server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen()
    client.connect(str(tmp_path / "s"))

    found = {row["inode"]: row for row in rows(protocol=["^unix"])}

    assert found[os.fstat(client.fileno()).st_ino]["peer"] == os.fstat(server.fileno()).st_ino
    server.close()
    client.close()


def test_mptcp_is_a_protocol_with_holders_of_its_own(rows: Rows) -> None:
    try:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, _MPTCP)
    except OSError:
        pytest.skip("this kernel has no MPTCP")
    if not Handlers().may_ask("mptcp"):
        pytest.skip("the kernel's mptcp_diag is not loaded")
    server.bind(("127.0.0.1", 0))
    server.listen()

    found = rows(local_port=[str(port(server))], protocol=["^mptcp$"])

    assert [(row["state"], holders(row)) for row in found] == [("LISTEN", [ME])]
    server.close()


@pytest.mark.skipif(not Handlers().may_ask("tcp"), reason="the kernel's tcp_diag is not loaded")
def test_how_much_was_sent_is_told_on_request(rows: Rows) -> None:
    with listener() as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        with accepted:
            client.sendall(b"x" * 1000)
            while len(accepted.recv(4096, socket.MSG_PEEK)) < 1000:
                pass

            found = rows(remote_port=[str(port(server))], **{"with": ["sent", "received"]})

            assert found[0]["sent"] >= 1000
            assert "sent" not in rows(remote_port=[str(port(server))])[0]


def test_a_process_whose_main_thread_ended_holds_its_sockets(rows: Rows, start: Start) -> None:
    code = (
        "import ctypes, socket, threading, time\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
        "threading.Thread(target=time.sleep, args=(77,)).start()\n"
        "print('ready', s.getsockname()[1], flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        number = process.stdout.readline().split()[1]

        assert holders(rows(local_port=[number], state=["LISTEN"])[0]) == [str(process.pid)]
    finally:
        process.kill()
        process.communicate()


@ROOT
def test_ss_lists_nothing_that_is_missing(rows: Rows) -> None:
    with listener() as one, listener(socket.AF_INET6, "::1") as two, socket.socket(type=socket.SOCK_DGRAM) as three:
        three.bind(("127.0.0.1", 0))
        printed = subprocess.run(["ss", "-tuanH"], capture_output=True, text=True, check=True).stdout
        found = rows()
        theirs = {(words[0], words[1], words[4].rpartition(":")[2]) for words in map(str.split, printed.splitlines())}
        names = {"LISTEN": "LISTEN", "ESTAB": "ESTABLISHED", "UNCONN": "BOUND"}
        ours = {(row["protocol"], row.get("state"), str(row.get("local_port"))) for row in found}

        for made, kind in ((one, "tcp"), (two, "tcp"), (three, "udp")):
            state = "UNCONN" if kind == "udp" else "LISTEN"
            assert (kind, state, str(port(made))) in theirs
            assert (kind, names[state], str(port(made))) in ours


RING = """
import ctypes, os, socket, sys
call = ctypes.CDLL(None, use_errno=True).syscall
ring = call(425, 4, ctypes.byref((ctypes.c_ubyte * 120)()))
if ring < 0:
    print('ready', 0, flush=True)
    sys.exit()
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
assert call(427, ring, 2, ctypes.byref((ctypes.c_int * 1)(s.fileno())), 1) == 0
port = s.getsockname()[1]
s.close()
print('ready', port, flush=True)
"""


def test_a_listener_that_only_an_io_uring_holds_names_its_process(rows: Rows) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"{RING}\nsys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = process.stdout.readline().split()[1]
    try:
        if port == "0":
            pytest.skip("this kernel permits no io_uring")

        assert [holders(row) for row in rows(local_port=[port])] == [[str(process.pid)]]
    finally:
        process.kill()
        process.communicate()


def test_a_hosts_file_that_is_longer_than_is_read_is_booked(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\n#" + b"x" * names.MAX_BYTES + b"\n10.0.0.1 gone\n")
    tally = Tally()

    rows = list(names.hosts(tally, str(path)))

    assert [row["names"] for row in rows] == [["localhost"]]
    assert tally.skipped(names.TOO_LARGE) == 1
