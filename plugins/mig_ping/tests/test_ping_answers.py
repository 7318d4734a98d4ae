"""Parameters, what is told of names and addresses that will not do, lines, and masking."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.result import ModuleResult
from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_core.testing.eventually import eventually
from mig_endpoint.resolving import Address
from mig_ping import PingModule, icmp
from mig_ping.icmp import checksum
from mig_ping.outcome import State
from mig_ping.request import Request

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

MODULE = PingModule()


def asked(seconds: float = 20, **parameters: Any) -> ModuleResult:
    return MODULE.run(MODULE.parse_parameters(parameters), Context(deadline=time.monotonic() + seconds))


def elements(result: ModuleResult) -> dict[str, Any]:
    assert isinstance(result.elements, dict)
    return result.elements


def test_zeros_mean_the_originals_defaults() -> None:
    request = MODULE.parse_parameters({"destination": "a.test", "destinationport": -1, "count": 0, "timeout": 0})

    assert request == Request("a.test", "icmp", 0, 3, 5)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "destination: is missing"),
        ({"destination": ""}, "must be a name or an address"),
        ({"destination": "a b"}, "neither a name nor an address"),
        ({"destination": "http://a.test/"}, "neither a name nor an address"),
        ({"destination": "a" * 254}, "at most 253"),
        ({"destination": "a", "protocol": "TCP"}, "must be one of icmp, tcp, udp"),
        ({"destination": "a", "protocol": "tcp"}, "must be from 1 to 65535 for tcp"),
        ({"destination": "a", "protocol": "udp", "destinationport": 65536}, "must be from -1 to 65535"),
        ({"destination": "a", "count": -1}, "must be from 0 to 100"),
        ({"destination": "a", "count": 0.5}, "must be a whole number"),
        ({"destination": "a", "timeout": 0.5}, "must be a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        MODULE.parse_parameters(parameters)


@pytest.mark.parametrize("name", ["nosuch.invalid", "a..b", "." * 9, "a" * 80 + ".test", "256.1.1.1", "::1::"])
def test_a_name_that_cannot_be_resolved_is_said_and_not_unreachable(name: str) -> None:
    result = asked(destination=name, protocol="tcp", destinationport=1)

    assert not result.found
    assert not result.success
    assert not result.coverage.complete
    assert [one.reason for one in result.coverage.skipped] == ["name that could not be resolved"]
    assert result.errors[0].startswith(name)


@pytest.mark.parametrize("address", ["224.0.0.1", "ff02::1%lo"])
def test_many_are_never_asked_at_once(address: str) -> None:
    result = asked(destination=address, count=1, timeout=1)

    assert not result.success
    assert "is a multicast address" in result.errors[0]


def test_a_deadline_within_a_try_gives_no_verdict() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))

        result = asked(0.3, destination="127.0.0.1", protocol="udp", destinationport=silent.getsockname()[1])

    assert not result.found
    assert not result.coverage.complete
    assert elements(result)["addresses"] == []


def test_a_reply_that_is_not_ours_is_no_answer() -> None:
    if not _may_use_raw():
        pytest.skip("needs CAP_NET_RAW")
    stop = threading.Event()
    forger = threading.Thread(target=_forge, args=(stop,), daemon=True)
    forger.start()

    result = asked(destination="127.0.0.2", count=1, timeout=1)
    stop.set()
    forger.join()

    assert elements(result)["addresses"][0]["state"] == "reached"
    assert elements(result)["latencies"][0] < 1000


def test_a_reply_that_came_in_time_counts_however_late_this_process_has_its_turn() -> None:
    if not _may_use_raw():
        pytest.skip("needs CAP_NET_RAW")
    family = icmp._FAMILIES[socket.AF_INET]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as connection:
        echo = icmp._Echo(connection, Address(socket.AF_INET, "127.0.0.1", ("127.0.0.1", 0)), family, is_raw=True)

        eventually(lambda: echo.wait(0).state is State.REACHED)


def _may_use_raw() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except PermissionError:
        return False
    return True


def _forge(stop: threading.Event) -> None:
    """Echo replies with a wrong identifier, from the address that is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.bind(("127.0.0.2", 0))
        packet = b"\0\0\0\0" + b"\x12\x34\0\0" + b"x" * 48
        packet = packet[:2] + checksum(packet).to_bytes(2, "big") + packet[4:]
        while not stop.wait(0.001):
            raw.sendto(packet, ("127.0.0.1", 0))


def test_lines_are_the_originals_for_each_address() -> None:
    seen: list[tuple[str, str, str, list[JSON]]] = [
        ("10.0.0.1", "tcp", "reached", [36.0]),
        ("fd00::1", "tcp", "refused", [-1.0, 9999999.0, 0.0]),
        ("10.0.0.2", "udp", "silent", [9999999.0]),
    ]
    entries: list[JSON] = [
        {
            "destination": "a.test",
            "port": 80,
            "address": address,
            "protocol": protocol,
            "state": state,
            "latencies": all_,
        }
        for address, protocol, state, all_ in seen
    ]

    lines = list(MODULE.lines(ModuleResult(True, True, {"addresses": entries}), found_only=True))

    assert lines == [
        "tcp ping of a.test:80 (10.0.0.1) succeeded. Target is reachable.",
        "ping #1 succeeded in 36ms",
        "tcp ping of a.test:80 (fd00::1) failed. Target is no reachable.",
        "ping #1 failed, target was unreachable",
        "ping #2 failed, connection timed out",
        "ping #3 failed, reason unknown",
        "udp ping of a.test:80 (10.0.0.2) may have succeeded. Target did not answer.",
        "ping #1 may have succeeded (no udp response)",
    ]


def test_masking_hides_what_the_name_resolves_to() -> None:
    result = asked(destination="127.0.0.1", protocol="tcp", destinationport=1, count=1)

    masked = elements(MODULE.mask(result))

    assert masked["resolvedhost"] == "masked"
    assert [one["address"] for one in masked["addresses"]] == ["masked"]
    assert masked["addresses"][0]["state"] == "refused"
