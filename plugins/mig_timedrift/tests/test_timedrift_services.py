"""The endpoint's own time services: a real chronyd, and what ntpd and timesyncd show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_core.testing.eventually import eventually
from mig_core.testing.ports import free_port
from mig_core.testing.services import service_missing
from mig_timedrift import TimedriftModule, chrony, kernel, ntpd, timesyncd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mig_core.domain.result import ModuleResult
    from mig_timedrift.reading import Reading

MODULE = TimedriftModule()
AHEAD = 100.0
PATIENCE = 60.0
"""Seconds that a server of these tests, which does answer, is waited for."""


class Chronyd:
    """A real one that leaves the clock alone: it serves (``serves``), and follows a server if one is given."""

    def __init__(self, folder: Path, *, serves: int, commands: int, follows: int = 0) -> None:
        self.serves, self.commands = serves, commands
        lines = [
            f"port {serves}",
            f"cmdport {commands}",
            "bindaddress 127.0.0.1",
            "bindcmdaddress /",
            "allow 127.0.0.0/8",
            f"pidfile {folder}/pid-{commands}",
            f"server 127.0.0.1 port {follows} minpoll -4 maxpoll -4" if follows else "local stratum 5",
        ]
        configuration = folder / f"{commands}.conf"
        configuration.write_text("\n".join(lines) + "\n")
        command = ["chronyd", "-x", "-d", "-U", "-u", "root", "-f", str(configuration)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def reading(self) -> Reading | None:
        return chrony.reading(port=self.commands)

    def synchronized(self) -> Reading | None:
        found = self.reading()
        return found if found is not None and found.synchronized else None


def free_udp_port() -> int:
    return free_port(kind=socket.SOCK_DGRAM)


@pytest.fixture(scope="module")
def liar(serving: Callable[..., Any], answer: Callable[..., Any]) -> Iterator[Any]:
    with serving(answer(ahead=AHEAD)) as (server,):
        yield server


@pytest.fixture(scope="module")
def chronyds(tmp_path_factory: pytest.TempPathFactory, liar: Any) -> Iterator[tuple[Chronyd, Chronyd]]:
    """One that serves the right time, and one that follows a liar."""
    if shutil.which("chronyd") is None or os.geteuid() != 0:
        service_missing("chronyd (package chrony), as root, is not here")
    folder = tmp_path_factory.mktemp("chrony")
    right = Chronyd(folder, serves=free_udp_port(), commands=free_udp_port())
    misled = Chronyd(folder, serves=0, commands=free_udp_port(), follows=liar.port)
    try:
        eventually(right.synchronized)
        yield right, misled
    finally:
        for one in (right, misled):
            one.process.terminate()
            one.process.wait(60)


def test_chronyds_own_state_is_what_chronyc_says(chronyds: tuple[Chronyd, Chronyd]) -> None:
    right, _ = chronyds

    found = eventually(right.synchronized)

    command = ["chronyc", "-c", "-h", "127.0.0.1", "-p", str(right.commands), "tracking"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split(",")
    assert (found.stratum, found.leap) == (int(said[2]), "none")
    assert found.offset == pytest.approx(float(said[4]), abs=0.001)
    assert found.usable


def test_a_chronyd_that_follows_a_liar_believes_it_and_says_in_which_direction(
    chronyds: tuple[Chronyd, Chronyd],
) -> None:
    found = eventually(chronyds[1].synchronized)

    assert found.offset == pytest.approx(AHEAD, abs=0.5)
    assert found.address == "127.0.0.1"
    assert found.stratum == 3


def test_a_chronyd_as_server_and_our_own_reckoning_agree(chronyds: tuple[Chronyd, Chronyd], liar: Any) -> None:
    names = [f"127.0.0.1:{chronyds[0].serves}", liar.name]

    right, wrong = (
        next(row for row in MODULE.rows(_asked(name)) if row["source"] == "server" and row["usable"]) for name in names
    )

    assert right["offset"] == pytest.approx(0, abs=0.5)
    assert right["stratum"] == 5
    misled = eventually(chronyds[1].synchronized)
    assert misled.offset == pytest.approx(wrong["offset"], abs=0.5)


def _asked(server: str) -> ModuleResult:
    return MODULE.run(MODULE.parse_parameters({"servers": [server]}), Context(deadline=time.monotonic() + 20))


def test_where_nobody_listens_there_is_no_service() -> None:
    assert chrony.reading(port=free_udp_port()) is None
    assert ntpd.reading(port=free_udp_port()) is None


@pytest.mark.parametrize(
    ("number", "value"),
    [(0x10C80002, 100.000015), (0, 0.0), (0x0B4F98DE & 0xFFFFFFFF, None), (0xFFFFFFFF, -(2.0**-26))],
)
def test_chronys_numbers_are_read(number: int, value: float | None) -> None:
    found = chrony.number_of(number)

    assert value is None or found == pytest.approx(value)


def control_server(reply: bytes) -> int:
    """Answers one control message on loopback with these bytes, its sequence number put in; the port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        with server:
            question, whence = server.recvfrom(2048)
            server.sendto(reply[:2] + question[2:4] + reply[4:], whence)

    threading.Thread(target=serve, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def variables(text: bytes, status: int = 0x0615, operation: int = 0x82) -> bytes:
    header = bytes([0xD6, operation, 0, 0]) + status.to_bytes(2, "big") + bytes(4) + len(text).to_bytes(2, "big")
    return header + text + bytes(-len(text) % 4)


def test_ntpds_own_state_is_read_as_ntpsec_writes_it() -> None:
    text = b"stratum=3, offset=-0.250000, refid=192.0.2.7, rootdelay=10.500,\r\nrootdisp=0.405\r\n"

    found = ntpd.reading(("127.0.0.1",), control_server(variables(text)), limit=PATIENCE)

    assert found is not None
    assert (found.stratum, found.server, found.leap) == (3, "192.0.2.7", "none")
    assert found.offset == pytest.approx(-0.00025)
    assert found.error == pytest.approx(0.005655)


def test_an_ntpd_that_is_not_synchronized_says_so() -> None:
    text = b"stratum=16, rootdelay=0.000, rootdisp=0.405, refid=INIT,\r\noffset=0.000000\r\n"  # as NTPsec 1.2.2 did

    found = ntpd.reading(("127.0.0.1",), control_server(variables(text, status=0xC016)), limit=PATIENCE)

    assert found is not None
    assert (found.synchronized, found.usable, found.offset, found.leap) == (False, False, None, "unknown")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\xd6",
        variables(b"", operation=0xC2),
        variables(b"stratum=x"),
        variables(b"stratum=2, offset=nan"),
        b"\x24" + bytes(47),
    ],
)
def test_whoever_holds_ntpds_port_and_is_none_is_not_understood(reply: bytes) -> None:
    with pytest.raises(ntpd.NotUnderstood):
        ntpd.reading(("127.0.0.1",), control_server(reply), limit=PATIENCE)


def test_timesyncd_is_seen_by_what_it_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "timesync"
    assert timesyncd.reading(str(folder)) is None

    folder.mkdir()
    before = timesyncd.reading(str(folder))
    (folder / "synchronized").touch()
    os.utime(folder / "synchronized", (1_700_000_000, 1_700_000_000))
    after = timesyncd.reading(str(folder))

    assert before is not None
    assert before.synchronized is False
    assert after is not None
    assert (after.synchronized, after.updated, after.usable) == (True, 1_700_000_000.0, False)


def test_the_kernel_says_whether_its_clock_is_disciplined() -> None:
    found = kernel.reading()

    assert found.synchronized in (True, False)
    assert (found.error is None) is not found.synchronized
