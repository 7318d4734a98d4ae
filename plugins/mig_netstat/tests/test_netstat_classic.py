"""The original's six questions: its elements and lines, and none of its defects."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_netstat import NetstatModule

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult

    Run = Callable[..., ModuleResult]

MODULE = NetstatModule()


def lines(result: ModuleResult, *, found_only: bool = True) -> list[str]:
    return list(MODULE.lines(result, found_only=found_only))


def elements(result: ModuleResult) -> Any:
    return result.elements


def test_only_what_listens_counts_as_listening(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        listening, connected = str(server.getsockname()[1]), str(client.getsockname()[1])

        result = run(listeningport=[listening, connected])

    assert elements(result) == {
        "listeningport": {
            listening: [{"localaddr": "127.0.0.1", "localport": int(listening), "namespace": "default"}],
            connected: None,
        }
    }
    assert lines(result) == [f"found listening port {listening} for netstat listeningport:'{listening}'"]
    assert f"did not find anything for netstat listeningport:'{connected}'" in lines(result, found_only=False)
    assert elements(result) and result.statistics["totalhits"] == 1  # type: ignore[call-overload, index]  # JSON


def test_a_listener_is_not_connected_to_everybody_and_mapped_addresses_are_found(run: Run) -> None:
    server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    number = server.getsockname()[1]
    with socket.create_connection(("127.0.0.1", number)) as client:
        accepted = server.accept()[0]

        result = run(connectedip=["127.0.0.0/8", "0.0.0.0"])

        found = elements(result)["connectedip"]
        assert {"localaddr": "127.0.0.1", "localport": number, "remoteaddr": "127.0.0.1",
                "remoteport": client.getsockname()[1], "namespace": "default"} in found["127.0.0.0/8"]  # fmt: skip
        assert found["0.0.0.0"] is None
        accepted.close()
    server.close()


def test_addresses_are_compared_as_addresses(run: Run) -> None:
    found = elements(run(localip=["0:0:0:0:0:0:0:1", "127.0.0.0/8", "203.0.113.7"]))["localip"]

    assert found["0:0:0:0:0:0:0:1"] == [{"localaddr": "::1", "namespace": "default"}]
    assert found["127.0.0.0/8"] == [{"localaddr": "127.0.0.1", "namespace": "default"}]
    assert found["203.0.113.7"] is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_neighbours_of_both_families_are_found_in_any_case_and_namespaces_when_asked(run: Run, netns: str) -> None:
    for words in (
        ("link", "add", "one", "type", "veth", "peer", "name", "two"),
        ("link", "set", "one", "up"),
        ("neigh", "add", "2001:db8::9", "lladdr", "02:00:00:00:00:ab", "dev", "one"),
    ):
        subprocess.run(["ip", "-n", netns, *words], check=True)

    here = run(neighborip=["2001:db8::/32"])
    everywhere = run(neighborip=["2001:db8::/32"], neighbormac=["02:00:00:00:00:AB"], namespaces=True)

    assert elements(here) == {"neighborip": {"2001:db8::/32": None}}
    hit = elements(everywhere)["neighborip"]["2001:db8::/32"][0]
    assert (hit["remotemacaddr"], hit["remoteaddr"]) == ("02:00:00:00:00:ab", "2001:db8::9")
    assert lines(everywhere)[0].startswith("found neighbor mac 02:00:00:00:00:ab 2001:db8::9 for netstat neighbormac:")
    assert "namespace:[net:[" in lines(everywhere)[0]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("listeningport", "443x", "is not a valid port"),
        ("listeningport", "65536", "port out of range"),
        ("connectedip", "300.1.1.1", "invalid IPv4"),
        ("localip", "::zz", "invalid IPv6"),
        ("localmac", "[", "Invalid MAC regexp"),
        ("localmac", "(a+)+b", "Invalid MAC regexp"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_the_original_s_words(key: str, value: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        MODULE.parse_parameters({key: [value]})


def test_the_command_line_writes_what_the_original_wrote() -> None:
    built = MODULE.parameters.from_options({"lp": ["443"], "ci": ["10.0.0.0/8"]})

    assert built == {"connectedip": ["10.0.0.0/8"], "listeningport": ["443"], "namespaces": False}


def test_an_answer_to_an_old_question_has_rows_too(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]

        found = list(MODULE.rows(run(listeningport=[str(number)])))

    assert found == [{"what": "sockets", "local_address": "127.0.0.1", "local_port": number, "namespace": "default"}]
