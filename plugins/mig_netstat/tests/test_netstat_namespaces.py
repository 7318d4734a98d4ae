"""Network namespaces: with processes, kept by a descriptor, kept by a socket alone."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.coverage import Tally
from mig_core.testing.eventually import eventually
from mig_endpoint.processes.proc import Proc
from mig_netstat import namespaces
from mig_netstat.handlers import Handlers
from mig_netstat.holders import Holders
from mig_netstat.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult

    Rows = Callable[..., list[dict[str, Any]]]
    Start = Callable[..., subprocess.Popen[str]]

PORT = 1024 + os.getpid() % 20000
"""Below those that the kernel hands out, another one for each run of these tests: all of the machine is looked at."""
LISTEN = f"import socket\ns = socket.socket(); s.bind(('127.0.0.1', {PORT})); s.listen()"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace needs root")


def holders(row: dict[str, Any]) -> list[str]:
    return [one.split()[0] for one in row["processes"]]


def test_a_listener_in_another_namespace_is_found_with_its_process(rows: Rows, start: Start, netns: str) -> None:
    before = namespaces.own()
    process = start(LISTEN, "ip", "netns", "exec", netns)
    number = namespaces.number_of(f"/run/netns/{netns}")

    found = rows(local_port=[str(PORT)], state=["LISTEN"])

    assert [(row["namespace"], holders(row)) for row in found] == [(f"net:[{number}]", [str(process.pid)])]
    assert namespaces.own() == before


def test_a_namespace_without_processes_is_looked_at_too(rows: Rows, netns: str) -> None:
    number = namespaces.number_of(f"/run/netns/{netns}")

    addresses = rows(ask=["addresses"], namespace=[f"{number}"])

    assert sorted(row["local_address"] for row in addresses) == ["127.0.0.1/8", "::1/128"]


def test_a_namespace_that_only_a_descriptor_keeps_is_looked_at(rows: Rows) -> None:
    code = (
        "import os, socket\n"
        "here = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
        "import ctypes; libc = ctypes.CDLL(None)\n"
        "assert libc.unshare(0x40000000) == 0\n"
        "kept = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
        "assert libc.setns(here, 0x40000000) == 0\n"
        "print('ready', os.fstat(kept).st_ino, flush=True)\n"
        "import time; time.sleep(77)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        number = process.stdout.readline().split()[1]

        assert [row["interface"] for row in rows(ask=["interfaces"], namespace=[number])] == ["lo"]
    finally:
        process.kill()
        process.communicate()


def test_a_socket_that_alone_keeps_its_namespace_is_found_with_its_port(rows: Rows) -> None:
    left, right = socket.socketpair()
    code = (
        "import ctypes, socket, sys\n"
        "assert ctypes.CDLL(None).unshare(0x40000000) == 0\n"
        f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()\n"
        "socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b'x'], [s.fileno()])"
    )
    subprocess.run([sys.executable, "-c", code, str(right.fileno())], pass_fds=(right.fileno(),), check=True)
    _, descriptors, _, _ = socket.recv_fds(left, 1, 1)

    found = rows(local_port=[str(PORT)], state=["LISTEN"])

    assert [(holders(row), row["namespace"].startswith("net:[")) for row in found] == [([str(os.getpid())], True)]
    os.close(descriptors[0])
    left.close()
    right.close()


def test_without_the_kernel_s_handlers_the_same_sockets_are_found_in_proc(
    start: Start, netns: str, tmp_path: pathlib.Path
) -> None:
    process = start(LISTEN, "ip", "netns", "exec", netns)
    server = socket.create_server(("::", 0), family=socket.AF_INET6)
    (tmp_path / "modules").write_text("ext4 1 0 - Live 0x0\n")
    tally, found = Tally(), Holders()
    with Proc(tally) as proc:
        found.walk(proc, tally, expired=lambda: False)

    without = Handlers(str(tmp_path), str(tmp_path))
    records = list(Sockets(found, without, tally, counters=False, expired=lambda: False).all())

    assert not without.may_ask("tcp")
    there = next(one for one in records if one.local_port == PORT)
    assert (there.state, there.protocol, there.local) == ("LISTEN", "tcp", "127.0.0.1")
    assert [one.split()[0] for one in there.holders] == [str(process.pid)]
    here = next(one for one in records if one.local_port == server.getsockname()[1])
    assert (here.local, here.state, here.namespace) == ("::", "LISTEN", "default")
    assert here.dual_stack is None
    assert there.dual_stack is False
    server.close()


def test_what_proc_cannot_tell_about_a_socket_is_not_known(tmp_path: pathlib.Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        (tmp_path / "modules").write_text("")
        tally, found = Tally(), Holders()
        with Proc(tally) as proc:
            found.walk(proc, tally, expired=lambda: False)

        without = Handlers(str(tmp_path), str(tmp_path))
        records = list(Sockets(found, without, tally, counters=False, expired=lambda: False).all())

        mine = next(one for one in records if one.inode == os.fstat(bound.fileno()).st_ino)
        assert (mine.protocol, mine.local, mine.local_port) == ("tcp", None, None)


def test_a_namespace_that_may_not_be_entered_is_read_through_its_processes(start: Start, netns: str) -> None:
    start(LISTEN, "ip", "netns", "exec", netns)
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import time\nfrom mig_core.plugin.module import Context\nfrom mig_netstat import NetstatModule\n"
        "m = NetstatModule()\nc = Context(deadline=time.monotonic() + 30)\n"
        f"r = m.run(m.parse_parameters({{'local_port': ['{PORT}']}}), c)\n"
        "print([(row['state'], row['namespace'][:5]) for row in m.rows(r)])"
    )
    without = "-sys_admin"

    printed = subprocess.run(
        ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert printed.strip() == "[('LISTEN', 'net:[')]"


def test_a_socket_s_interface_is_named_as_in_its_own_namespace(rows: Rows, start: Start, netns: str) -> None:
    for words in (["down"], ["name", "own3"], ["up"]):
        subprocess.run(["ip", "-n", netns, "link", "set", "own3" if words == ["up"] else "lo", *words], check=True)
    bind = "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'own3')"
    code = f"import socket\ns = socket.socket(); {bind}; s.bind(('0.0.0.0', {PORT})); s.listen()"
    start(code, "ip", "netns", "exec", netns)

    (found,) = rows(local_port=[str(PORT)])

    assert found["interface"] == "own3"


def test_a_socket_whose_namespace_cannot_be_found_out_is_not_said_to_be_unbound(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: str, descriptor: int) -> int:
        raise PermissionError(folder, descriptor)

    code = "import ctypes, os\nback = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
    code += f"assert ctypes.CDLL(None).unshare(0x40000000) == 0\n{LISTEN}\n"
    code += "assert ctypes.CDLL(None).setns(back, 0) == 0"
    process = start(code)
    inode = next(
        int(target[8:-1])
        for name in os.listdir(f"/proc/{process.pid}/fd")
        if (target := os.readlink(f"/proc/{process.pid}/fd/{name}")).startswith("socket:[")
    )
    monkeypatch.setattr(namespaces, "of_socket", refused)
    tally, held = Tally(), Holders()
    with Proc(tally) as proc:
        held.walk(proc, tally, expired=lambda: False)

    sockets = Sockets(held, Handlers(), tally, counters=False, expired=lambda: False)
    (found,) = [one for one in sockets.all() if one.inode == inode]

    assert (found.local, found.local_port, found.state) == (None, None, "")


def test_a_process_behind_a_mount_hides_no_namespace(
    rows: Rows, start: Start, netns: str, tmp_path: pathlib.Path
) -> None:
    process = start(LISTEN, "ip", "netns", "exec", netns)
    space = str(namespaces.number_of(f"/proc/{process.pid}/ns/net"))
    subprocess.run(["ip", "netns", "del", netns], check=True)  # nothing but the process leads there now
    subprocess.run(["mount", "--bind", str(tmp_path), f"/proc/{process.pid}"], check=True)
    try:
        listeners = rows(local_port=[str(PORT)], namespace=[space])
        interfaces = rows(ask=["interfaces"], namespace=[space])
    finally:
        subprocess.run(["umount", f"/proc/{process.pid}"], check=True)

    assert [holders(row) for row in listeners] == [[str(process.pid)]]
    assert [row["interface"] for row in interfaces] == ["lo"]


def test_a_namespace_whose_first_process_has_ended_is_entered_through_another(start: Start, netns: str) -> None:
    process = start(LISTEN, "ip", "netns", "exec", netns)
    number = namespaces.number_of(f"/proc/{process.pid}/ns/net")
    paths = ("/proc/1/ns/none", "/proc/self/ns/net", f"/proc/{process.pid}/ns/net")  # gone; another's by now; there

    descriptor = namespaces.opened(number, paths)
    found = os.fstat(descriptor).st_ino
    os.close(descriptor)

    assert found == number
    with pytest.raises(FileNotFoundError):
        namespaces.opened(number, paths[:2])


def test_what_lies_over_the_mount_that_keeps_a_namespace_is_not_opened_and_the_answer_says_so(
    run: Callable[..., ModuleResult], tmp_path: pathlib.Path
) -> None:
    """Opening a FIFO waits for ever, opening a device may do things; and a namespace that is there is not ended."""
    kept, over = tmp_path / "kept", tmp_path / "over"
    kept.touch()
    os.mkfifo(over)
    lines = (
        f"unshare --net sh -c 'mount --bind /proc/self/ns/net {kept}; readlink /proc/self/ns/net'",
        f"mount --bind {over} {kept}",
        "exec sleep 77",
    )
    process = subprocess.Popen(["unshare", "--mount", "sh", "-ec", "\n".join(lines)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert eventually(lambda: pathlib.Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        answers: list[ModuleResult] = []
        looking = threading.Thread(target=lambda: answers.append(run(ask=["interfaces"])), daemon=True)
        looking.start()
        looking.join(60)
    finally:
        process.kill()
        process.communicate()

    assert answers, "it waits for who writes into the FIFO"
    assert not answers[0].coverage.complete
    assert any(name in example for one in answers[0].coverage.skipped for example in one.examples)


def test_sockets_of_a_namespace_that_cannot_be_opened_any_more_are_found_through_their_holder(
    start: Start, netns: str
) -> None:
    process = start(LISTEN, "ip", "netns", "exec", netns)
    number = namespaces.number_of(f"/run/netns/{netns}")
    tally, held = Tally(), Holders()
    subprocess.run(["ip", "netns", "del", netns], check=True)
    with Proc(tally) as proc:
        held.walk(proc, tally, expired=lambda: False)
    held.namespaces[number] = ["/proc/1/ns/none"]

    sockets = Sockets(held, Handlers(), tally, counters=False, expired=lambda: False)
    (found,) = [one for one in sockets.all() if one.local_port == PORT and one.namespace == f"net:[{number}]"]

    assert [one.split()[0] for one in found.holders] == [str(process.pid)]


def test_a_namespace_that_a_mount_keeps_elsewhere_is_looked_at(rows: Rows, start: Start) -> None:
    code = (
        "import subprocess\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', '/mnt'], check=True)\n"
        "open('/mnt/kept', 'w').close()\n"
        "subprocess.run(['unshare', '-n', 'sh', '-c', 'stat -L -c %i /proc/self/ns/net > /mnt/number;'\n"
        "                'mount --bind /proc/self/ns/net /mnt/kept'], check=True)\n"
    )
    process = start(code, "unshare", "--mount", "--propagation", "private")
    number = pathlib.Path(f"/proc/{process.pid}/root/mnt/number").read_text(encoding="ascii").strip()

    assert "lo" in [row["interface"] for row in rows(ask=["interfaces"], namespace=[f"net:.{number}"])]


def test_namespaces_that_mounts_may_keep_are_booked_where_mounts_are_not_listed(tmp_path: pathlib.Path) -> None:
    tally = Tally()

    found = namespaces.known({7: ["/proc/7/ns/net"]}, tally, str(tmp_path / "none"))

    assert found == {namespaces.own(): (), 7: ("/proc/7/ns/net",)}
    assert tally.skipped(namespaces.NO_MOUNTS) == 1
    assert not tally.complete
