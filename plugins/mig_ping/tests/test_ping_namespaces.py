"""Real networks: two namespaces with a link, one of which routes, refuses and drops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.eventually import eventually
from mig_core.testing.services import service_missing
from mig_endpoint.testing.privileges import nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = dict[str, Any]
    Ask = Callable[..., list[Answer]]

NEAR, FAR = f"mig-ping-{os.getpid()}-a", f"mig-ping-{os.getpid()}-b"
ASKING = Path(__file__).with_name("asking.py")
HOSTS = "10.91.0.2 both.test\nfd91::2 both.test\n10.91.0.77 both.test\n"
LISTEN = """
import socket
for family, end in ((socket.AF_INET, "10.91.0.2"), (socket.AF_INET6, "fd91::2")):
    socket.create_server((end, 7), family=family).detach()
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("10.91.0.2", 7))
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("10.91.0.2", 9))
print("ready", flush=True)
while True:
    data, whence = echo.recvfrom(99)
    echo.sendto(data, whence)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks the module inside the near namespace."""
    if os.geteuid() != 0:
        service_missing("making network namespaces needs root")
    hosts = tmp_path_factory.mktemp("names") / "hosts"
    hosts.write_text(HOSTS)
    try:
        for name in (NEAR, FAR):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "veth0", "netns", NEAR, "type", "veth", "peer", "name", "veth0", "netns", FAR)
        for name, end in ((NEAR, 1), (FAR, 2)):
            ip("-n", name, "address", "add", f"10.91.0.{end}/24", "dev", "veth0")
            ip("-n", name, "address", "add", f"fd91::{end}/64", "dev", "veth0", "nodad")
            ip("-n", name, "link", "set", "veth0", "up")
        ip("-n", NEAR, "route", "add", "default", "via", "10.91.0.2")
        ip("-n", NEAR, "route", "add", "unreachable", "10.94.0.0/16")
        ip("-n", FAR, "route", "add", "unreachable", "10.92.0.0/16")
        ip("-n", FAR, "route", "add", "blackhole", "10.93.0.0/16")
        for name, file, value in (
            (FAR, "ip_forward", "1"),
            (FAR, "icmp_ratemask", "0"),
            (NEAR, "ping_group_range", "65534 65534"),
        ):
            inside = ["ip", "netns", "exec", name, "sh", "-c", f"echo {value} > /proc/sys/net/ipv4/{file}"]
            subprocess.run(inside, check=True, timeout=30)

        def ask(*questions: dict[str, Any], before: tuple[str, ...] = ()) -> list[Answer]:
            command = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
            ran = subprocess.run(
                [
                    "ip",
                    "netns",
                    "exec",
                    NEAR,
                    "sh",
                    "-c",
                    command,
                    "sh",
                    str(hosts),
                    *before,
                    sys.executable,
                    str(ASKING),
                ],
                input=json.dumps(questions),
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            answers: list[Answer] = json.loads(ran.stdout)
            return answers

        with subprocess.Popen(
            ["ip", "netns", "exec", FAR, sys.executable, "-c", LISTEN], stdout=subprocess.PIPE, text=True
        ) as far:
            assert far.stdout is not None
            assert far.stdout.readline() == "ready\n"
            eventually(lambda: states(ask(question("fd91::2", "tcp", 7))[0]) == {"fd91::2": "reached"} or None)
            yield ask
            far.kill()
    finally:
        for name in (NEAR, FAR):
            subprocess.run(["ip", "netns", "del", name], check=False, timeout=30)


def question(destination: str, protocol: str = "icmp", port: int = 0, **more: int) -> dict[str, Any]:
    given = {"destination": destination, "protocol": protocol, "destinationport": port}
    return {**given, "count": 1, "timeout": 1, **more}


def states(answer: Answer) -> dict[str, str]:
    return {one["address"]: one["state"] for one in answer["elements"]["addresses"]}


def test_what_answers_is_reached_by_every_protocol_and_in_both_families(ask: Ask) -> None:
    answers = ask(
        question("10.91.0.2", count=3, timeout=5),
        question("fd91::2", timeout=5),
        question("10.91.0.2", "tcp", 7, timeout=5),
        question("fd91::2", "tcp", 7, timeout=5),
        question("10.91.0.2", "udp", 7, timeout=5),
    )

    assert [list(states(one).values()) for one in answers] == [["reached"]] * 5
    assert all(one["foundanything"] and one["coverage"]["complete"] for one in answers)
    assert len(answers[0]["elements"]["latencies"]) == 3
    assert all(0 < latency < 5000 for one in answers for latency in one["elements"]["latencies"])
    assert [one["elements"]["resolvedhost"] for one in answers[1:4]] == [
        "fd91::2 (fd91::2)",
        "10.91.0.2:7 (10.91.0.2)",
        "[fd91::2]:7 (fd91::2)",
    ]


def test_a_closed_port_is_refused_and_no_crash(ask: Ask) -> None:
    answers = ask(question("10.91.0.2", "tcp", 8), question("fd91::2", "tcp", 8), question("10.91.0.2", "udp", 8))

    assert [list(states(one).values()) for one in answers] == [["refused"]] * 3
    assert [one["elements"]["latencies"] for one in answers] == [[-1.0]] * 3
    assert not any(one["foundanything"] for one in answers)
    assert all(one["success"] and one["coverage"]["complete"] for one in answers)


def test_what_a_router_refuses_is_unreachable_and_who_said_so_is_told(ask: Ask) -> None:
    by_icmp, by_tcp, here = ask(question("10.92.0.1"), question("10.92.0.1", "tcp", 7), question("10.94.0.1"))

    assert states(by_icmp) == states(by_tcp) == {"10.92.0.1": "unreachable"}
    assert by_icmp["elements"]["failures"] == ["no route to host (said by 10.91.0.2)"]
    assert here["elements"]["failures"] == ["no route to host"]


def test_what_is_dropped_on_the_way_is_a_timeout_and_by_udp_silence(ask: Ask) -> None:
    by_icmp, by_tcp, by_udp, silent = ask(
        question("10.93.0.1"),
        question("10.93.0.1", "tcp", 7),
        question("10.93.0.1", "udp", 7),
        question("10.91.0.2", "udp", 9),
    )

    assert states(by_icmp) == states(by_tcp) == {"10.93.0.1": "timeout"}
    assert by_icmp["elements"]["latencies"] == [9999999.0]
    assert not by_icmp["foundanything"]
    assert states(by_udp) == {"10.93.0.1": "silent"}
    assert states(silent) == {"10.91.0.2": "silent"}
    assert silent["elements"]["addresses"][0]["reached"] is None
    assert silent["foundanything"]


def test_every_address_of_a_name_that_only_the_endpoint_knows_is_tried(ask: Ask) -> None:
    (answer,) = ask(question("both.test", "tcp", 7))

    assert states(answer) == {"10.91.0.2": "reached", "fd91::2": "reached", "10.91.0.77": "timeout"}
    assert answer["elements"]["resolvedhost"] in ("both.test:7 (10.91.0.2)", "both.test:7 (fd91::2)")
    assert answer["coverage"]["examined"] == {"tries": 3, "addresses": 3}


def test_a_ping_socket_needs_no_privilege(ask: Ask) -> None:
    answers = ask(question("10.91.0.2"), question("fd91::2"), question("10.92.0.1"), before=tuple(nobody()))

    assert [list(states(one).values()) for one in answers] == [["reached"], ["reached"], ["unreachable"]]


def test_without_any_privilege_icmp_says_what_is_missing(ask: Ask) -> None:
    command = nobody()
    command[command.index("--regid") + 1] = "65533"

    (answer,) = ask(question("10.91.0.2"), before=tuple(command))

    assert not answer["success"]
    assert not answer["coverage"]["complete"]
    assert answer["errors"] == ["10.91.0.2: permission denied"]
    assert "CAP_NET_RAW" in answer["coverage"]["skipped"][0]["reason"]
