"""What servers answer, honest and lying ones, on loopback."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_core.testing.ports import free_port
from mig_endpoint.resolving import Address
from mig_timedrift import TimedriftModule, asking
from mig_timedrift.packet import seconds_of

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult

    Answer = Callable[..., Callable[[bytes, int], list[bytes]]]
    Serving = Callable[..., contextlib.AbstractContextManager[list[Any]]]

MODULE = TimedriftModule()


def asked(seconds: float = 20, **parameters: Any) -> ModuleResult:
    return MODULE.run(MODULE.parse_parameters(parameters), Context(deadline=time.monotonic() + seconds))


def verdict(result: ModuleResult) -> bool | None:
    assert isinstance(result.elements, dict)
    within = result.elements.get("iswithindrift")
    assert within is None or isinstance(within, bool)
    return within


def servers_in(result: ModuleResult) -> list[dict[str, Any]]:
    return [row for row in MODULE.rows(result) if row["source"] == "server"]


def reasons(result: ModuleResult) -> list[str]:
    return [one.reason for one in result.coverage.skipped]


def test_a_clock_that_is_right_is_within_the_drift_and_nothing_is_found(serving: Serving, answer: Answer) -> None:
    with serving(answer()) as (server,):
        result = asked(drift="5s", servers=[server.name])

    (row,) = servers_in(result)
    assert verdict(result) is True
    assert not result.found
    assert result.coverage.complete
    # However long the way was: where the answer came late, the clock is known less well, and that is told.
    assert abs(row["offset"]) <= row["error"]
    assert row["round_trip"] >= 0
    assert (row["stratum"], row["leap"], row["usable"]) == (2, "none", True)


@pytest.mark.parametrize(("ahead", "how"), [(100.0, "behind"), (-100.0, "ahead of")])
def test_a_clock_that_is_wrong_is_found_with_its_direction(
    serving: Serving, answer: Answer, ahead: float, how: str
) -> None:
    with serving(answer(ahead=ahead)) as (server,):
        result = asked(drift="5s", servers=[server.name])

    assert verdict(result) is False
    assert result.found
    (row,) = servers_in(result)
    assert row["offset"] == pytest.approx(ahead, abs=row["error"])
    lines = list(MODULE.lines(result, found_only=True))
    assert lines[1] == "local time is out of sync from NTP servers"
    assert lines[2].startswith(f"Local time is {how} ntp host 127.0.0.1 by ")


def test_the_way_there_and_back_is_not_drift(serving: Serving, answer: Answer) -> None:
    def slow(question: bytes, number: int) -> list[bytes]:
        time.sleep(0.5)
        packet: list[bytes] = answer()(question, number)
        time.sleep(0.5)
        return packet

    for _ in range(10):
        with serving(slow) as (server,):
            (row,) = servers_in(asked(drift="5s", servers=[server.name]))
        if row["round_trip"] < 1.5:  # a busy machine may take longer for one of the two ways
            break

    assert row["round_trip"] >= 1
    assert abs(row["offset"]) < 0.4
    assert row["error"] >= 0.5


def test_an_answer_that_came_in_time_counts_however_late_this_process_has_its_turn(
    serving: Serving, answer: Answer
) -> None:
    with serving(answer()) as (server,):
        question = asking.Question(server.name, Address(socket.AF_INET, "127.0.0.1", ("127.0.0.1", server.port)))
        question.open()
        assert question.socket is not None
        assert select.select([question.socket], [], [], 20)[0]

        asking._wait([question], time.monotonic() - 100, asking.LIMIT)
        question.close()

    assert question.reading is not None
    assert not question.reading.problem


def test_a_datagram_that_was_lost_is_asked_again(serving: Serving, answer: Answer) -> None:
    with serving(answer(misses=1)) as (server,):
        result = asked(drift="5s", servers=[server.name])

    assert verdict(result) is True
    assert len(server.questions) == 2
    assert server.questions[0][40:48] != server.questions[1][40:48]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"ahead": 100, "stratum": 0, "reference": b"RATE"}, "refuses: kiss of death RATE"),
        ({"ahead": 100, "stratum": 0, "reference": b"\x1b[2J"}, "refuses: kiss of death without a code"),
        ({"ahead": 100, "stratum": 16}, "is not synchronized itself"),
        ({"ahead": 100, "leap": 3}, "is not synchronized itself"),
        ({"ahead": 100, "mode": 5}, "answers in mode 5 instead of as a server"),
        ({"ahead": 100, "mode": 1}, "answers in mode 1 instead of as a server"),
        ({"ahead": 100, "times": False}, "tells no time"),
        ({"ahead": 100, "root_dispersion": 20}, "may be off by 20s by its own word"),
        ({"ahead": 100, "held": 50}, "claims to have held the question longer than it was away, or less than no time"),
    ],
)
def test_an_answer_that_does_not_count_gives_no_verdict_and_says_why(
    serving: Serving, answer: Answer, fault: dict[str, Any], problem: str
) -> None:
    with serving(answer(**fault)) as (server,):
        result = asked(drift="5s", servers=[server.name])

    (row,) = servers_in(result)
    assert (row["usable"], row["problem"]) == (False, problem)
    assert verdict(result) is None
    assert not result.found
    assert not result.coverage.complete


def test_silent_closed_forged_and_short_answers_are_waited_for_together_and_no_longer_than_the_limit(
    serving: Serving, answer: Answer
) -> None:
    port = free_port(kind=socket.SOCK_DGRAM)
    started = time.monotonic()

    with serving(lambda _question, _number: [], answer(ahead=100, origin=b"x" * 8), answer(length=20)) as servers:
        result = asked(drift="5s", servers=[one.name for one in servers] + [f"127.0.0.1:{port}"])

    problems = [row["problem"] for row in servers_in(result)]
    assert time.monotonic() - started < 14  # one after the other the three would take 15
    assert problems == [
        "did not answer within 5s",
        "did not answer within 5s; 2 answers were to no question of ours",
        "did not answer within 5s; 2 answers were to no question of ours",
        "did not answer: connection refused",
    ]
    assert not result.success
    assert "nobody who could be asked knows the time" in reasons(result)


def test_a_liar_among_three_is_outvoted_and_named(serving: Serving, answer: Answer) -> None:
    with serving(answer(), answer(ahead=100), answer()) as servers:
        result = asked(drift="5s", servers=[one.name for one in servers])

    assert verdict(result) is True
    assert not result.coverage.complete
    assert reasons(result) == ["time server that contradicts the others"]


def test_two_that_contradict_each_other_give_no_verdict(serving: Serving, answer: Answer) -> None:
    with serving(answer(), answer(ahead=100)) as servers:
        result = asked(drift="5s", servers=[one.name for one in servers])

    assert verdict(result) is None
    assert not result.success
    assert not result.coverage.complete


def test_a_verdict_within_what_the_server_may_be_off_by_is_not_complete(serving: Serving, answer: Answer) -> None:
    with serving(answer(root_dispersion=8)) as (server,):
        result = asked(drift="5s", servers=[server.name])

    assert verdict(result) is True
    assert reasons(result) == ["verdict within what the sources may be off by"]


def test_the_question_does_not_tell_the_endpoints_time(serving: Serving, answer: Answer) -> None:
    with serving(answer()) as (server,):
        asked(servers=[server.name])
        asked(servers=[server.name])

    first, second = server.questions
    assert first[:40] == bytes([0x23]) + bytes(39)
    assert first[40:] != second[40:]


def test_named_servers_are_asked_without_a_drift_too_and_there_is_no_verdict(serving: Serving, answer: Answer) -> None:
    with serving(answer(ahead=100)) as (server,):
        result = asked(servers=[server.name])

    assert verdict(result) is None
    assert result.found
    (row,) = servers_in(result)
    assert row["offset"] == pytest.approx(100, abs=row["error"])


def test_without_parameters_nobody_is_asked_and_the_local_time_is_told() -> None:
    result = asked()

    assert result.found
    assert servers_in(result) == []
    assert next(iter(MODULE.lines(result, found_only=True))).startswith("local time is 20")
    assert [row["source"] for row in MODULE.rows(result)].count("kernel") == 1


def test_a_name_that_cannot_be_resolved_is_said() -> None:
    result = asked(drift="5s", servers=["nosuch.invalid"])

    assert not result.success
    assert result.errors[0].startswith("nosuch.invalid")


def test_the_statistics_are_the_originals(serving: Serving, answer: Answer) -> None:
    with serving(answer(), answer(stratum=0)) as servers:
        result = asked(drift="5s", servers=[one.name for one in servers])

    assert isinstance(result.statistics, dict)
    statistics: Any = result.statistics["ntpstats"]
    assert [sorted(one) for one in statistics] == [["drift", "host", "latency", "reachable", "time"]] * 2
    assert [one["reachable"] for one in statistics] == [True, False]
    assert statistics[1]["time"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("moment", [1_600_000_000.25, 2_085_978_495.5, 2_085_978_497.5, 4_000_000_000.0])
def test_timestamps_are_of_the_right_era_also_after_2036(moment: float) -> None:
    whole = (int(moment) + 2_208_988_800) & 0xFFFFFFFF

    assert seconds_of(whole << 32 | int(moment % 1 * (1 << 32))) == moment


@pytest.mark.parametrize(
    "parameters",
    [
        {"drift": "5"},
        {"drift": "soon"},
        {"drift": "-5s"},
        {"servers": [""]},
        {"servers": ["a b"]},
        {"servers": ["a:0"]},
        {"servers": ["a:99999"]},
        {"servers": ["[::1]x"]},
    ],
)
def test_what_cannot_be_meant_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        MODULE.parse_parameters(parameters)


def test_masking_hides_which_servers_are_used(serving: Serving, answer: Answer) -> None:
    with serving(answer(ahead=100)) as (server,):
        result = asked(drift="5s", servers=[server.name])

    masked = MODULE.mask(result)

    assert "127.0.0.1" not in str(masked.to_json())
    assert verdict(masked) is False
