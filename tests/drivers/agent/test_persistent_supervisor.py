"""The supervisor with real processes: alerts arrive whoever is killed; who misbehaves is ended and reported."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.alerts.copies import MOST_BYTES, AlertCopies
from mig_core.agent.alerts.lines import read_sink
from mig_core.agent.persistent.plan import Plan
from mig_core.agent.persistent.supervisor import Supervisor
from mig_core.agent.persistent.timing import Timing
from mig_core.domain.agent import AgentFacts
from mig_core.domain.ids import AgentId
from mig_core.plugin.module import Context
from mig_core.plugin.persistent import MAX_LINE_BYTES
from mig_core.plugin.question import ask
from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTS = AgentFacts(
    AgentId("a" * 32), "web1", "1", "daemon", 1, datetime.now(UTC), environment={"os": "linux"}, tags={"team": "blue"}
)
QUICK = Timing(first_pause=0.05, longest_pause=0.2)
PINGING = replace(QUICK, ping=0.8)
"""For tests of who does not answer; on a busy machine everybody may be late."""


LONG = 30.0
"""Seconds for an end that is to take less than five, on a busy machine. Without its bounds it would never come."""


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def whole(path: Path) -> str:
    """The whole lines of a file that somebody may be writing; empty while there is none."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1]


class Site:
    """A state directory, a folder for the modules' traces, and one supervisor after the other on them."""

    def __init__(self, folder: Path, program: tuple[str, ...]) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self._program = program
        self._thread: threading.Thread | None = None
        self.supervisor: Supervisor = None  # type: ignore[assignment]  # set by start()

    def start(self, timing: Timing = QUICK, **tables: dict[str, Any]) -> None:
        modules = {name: {"folder": str(self.folder), **table} for name, table in tables.items()}
        plan = Plan(modules, "sink" if "sink" in modules else "", detectors=frozenset({"detector"} & modules.keys()))
        self.supervisor = Supervisor(
            plan,
            self.state,
            facts=lambda: FACTS,
            memory_bytes=512 << 20,
            clock=lambda: datetime.now(UTC),
            program=self._program,
            timing=timing,
        )
        self._thread = threading.Thread(target=self.supervisor.run)
        self._thread.start()

    def stop(self) -> float:
        """Seconds it took."""
        began = time.monotonic()
        if self._thread is not None:
            self.supervisor.stop()
            self._thread.join()
            self._thread = None
        return time.monotonic() - began

    def pid(self, name: str) -> int:
        """Of the module's latest process."""
        return int(self.pids(name)[-1]) if self.pids(name) else 0

    def kill(self, name: str) -> None:
        """Ends the module's latest process, as soon as there is one."""
        eventually(lambda: self.pid(name))
        with contextlib.suppress(ProcessLookupError):  # it fell by itself meanwhile
            os.kill(self.pid(name), signal.SIGKILL)

    def pids(self, name: str) -> list[str]:
        return whole(self.folder / f"{name}.pids").split()

    def sent(self, name: str = "source") -> int:
        path = self.folder / f"{name}.sent"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def taken(self, name: str = "source") -> list[int]:
        """Numbers of the alerts in the order in which the sink got them."""
        path = self.folder / "taken"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        split = (line.split(b" ", 2) for line in lines)
        return [json.loads(raw)["n"] for _, module, raw in split if module == name.encode()]

    def settled(self, name: str, count: int) -> bool:
        """Whether so many alerts of a source have come, and are all accepted."""
        health = self.health(name)
        return (health["alerts"], health["held"]) == (count, 0)

    def health(self, name: str) -> Any:
        return self.supervisor.health()[name]

    def tell(self, word: str, *, off: bool = False) -> None:
        (self.folder / word).unlink() if off else (self.folder / word).touch()

    def question(self, name: str, parameters: Any, seconds: float = 60.0) -> Any:
        socket = self.supervisor.socket_of(name)
        return ask(Context(deadline=time.monotonic() + seconds, persist_socket=socket), parameters)


@pytest.fixture
def site(tmp_path: Path, plugin_environment: dict[str, str]) -> Iterator[Site]:
    path = f"PYTHONPATH={plugin_environment['PYTHONPATH']}"
    site = Site(tmp_path, ("env", path, sys.executable, "-m", "mig_core.agent.main"))
    yield site
    site.stop()


def running(site: Site, name: str) -> bool:
    return site.pid(name) > 0 and alive(site.pid(name))


def restarted(site: Site, name: str, before: int) -> bool:
    return len(site.pids(name)) > before


def complete(site: Site, name: str, count: int) -> bool:
    """Whether each of so many alerts has come."""
    return set(site.taken(name)) >= set(range(1, count + 1))


def in_order(numbers: list[int]) -> bool:
    """Whether each number was first seen after all smaller ones."""
    first = list(dict.fromkeys(numbers))
    return first == sorted(first)


def test_every_alert_of_every_source_reaches_the_sink_once_and_in_order(site: Site) -> None:
    site.start(source={"count": 30_000}, second={"count": 5_000}, sink={})

    eventually(lambda: site.settled("source", 30_000) and site.settled("second", 5_000))

    assert site.taken() == list(range(1, 30_001))
    assert site.taken("second") == list(range(1, 5_001))
    eventually(lambda: site.health("source")["status"] == {"number": 30_000})
    health = site.health("source")
    assert (health["state"], health["alerts"], health["held"], health["restarts"]) == ("running", 30_000, 0, 0)
    assert site.health("sink")["takes_alerts"]


def seen(site: Site) -> list[bytes]:
    """The alerts that the detector has been shown."""
    path = site.folder / "seen"
    return path.read_bytes().splitlines() if path.exists() else []


def test_a_detector_is_shown_every_alert_of_sources_and_its_own_reach_the_sink(site: Site) -> None:
    site.start(source={"count": 3000}, second={"count": 1000}, detector={}, sink={})

    eventually(lambda: len(seen(site)) == 4000 and site.settled("detector", 400) and site.settled("source", 3000))

    numbers = [json.loads(line.partition(b" ")[2])["n"] for line in seen(site) if line.startswith(b"source ")]
    assert numbers == list(range(1, 3001))
    assert sorted(site.taken("detector")) == sorted([*range(1, 301), *range(1, 101)])
    assert site.taken() == list(range(1, 3001))
    eventually(lambda: site.health("detector")["unseen"] == 0)  # it accepts what it has seen
    assert site.health("detector")["missed"] == 0


def test_a_detector_that_hangs_holds_nothing_up_and_sees_all_when_it_is_back(site: Site) -> None:
    site.tell("blind")
    site.start(source={"count": 10_000}, detector={}, sink={})

    eventually(lambda: site.settled("source", 10_000))
    assert seen(site) == []
    site.kill("detector")
    site.tell("blind", off=True)

    eventually(lambda: len(seen(site)) >= 10_000)
    assert site.taken() == list(range(1, 10_001))


def test_copies_beyond_the_limit_are_counted_and_told_with_the_next_one() -> None:
    copies = AlertCopies(0)
    huge = b"x" * (MOST_BYTES - 10)

    copies.put(b"audit", huge)
    copies.put(b"audit", b'{"n":2}' + b" " * 20)
    copies.put(b"audit", b'{"n":3}' + b" " * 20)
    first = copies.take()
    copies.accepted(1)
    copies.put(b"audit", b'{"n":4}')

    rest = copies.take()
    assert len(first) > len(huge)
    assert [read_sink(line) for line in rest.splitlines()] == [
        (2, "agent", b'{"type":"alerts_missed","count":2}'),
        (3, "audit", b'{"n":4}'),
    ]
    assert copies.health() == {"unseen": 2, "missed": 2}


def test_a_slow_sink_makes_sources_wait_and_holds_a_window_at_most(site: Site) -> None:
    site.tell("refuse")
    site.start(PINGING, source={"size": 1000}, second={"size": 100_000}, sink={})

    eventually(lambda: site.sent() > 100 and site.sent("second") > 10)
    time.sleep(3.4)  # longer than three pings and the next one

    assert site.sent() <= 2000
    assert site.sent("second") <= 21
    assert [site.health(name)["restarts"] for name in ("source", "second", "sink")] == [0, 0, 0]
    assert "the disk is full" in site.health("sink")["last_error"] or site.taken() == []
    site.tell("refuse", off=True)
    sent = site.sent()
    eventually(lambda: site.sent() > sent + 3000)


def test_alerts_survive_the_death_of_every_part_at_random_moments(site: Site) -> None:
    chance = random.Random(4)
    site.start(source={"size": 200}, second={"size": 200}, sink={})
    for _ in range(12):
        name = chance.choice(("source", "second", "sink", "sink"))
        before = len(site.pids(name))
        eventually(partial(running, site, name))
        time.sleep(chance.random() * 0.4)
        if chance.random() < 0.3:
            site.tell("slow")
        site.kill(name)
        eventually(partial(restarted, site, name, before))
        with contextlib.suppress(FileNotFoundError):
            site.tell("slow", off=True)

    eventually(lambda: min(site.sent("source"), site.sent("second")) > 1000)
    site.stop()
    sent = {name: site.sent(name) for name in ("source", "second")}
    site.start(sink={}, source={"count": 0}, second={"count": 0})
    for name, count in sent.items():
        eventually(partial(complete, site, name, count))
        assert in_order(site.taken(name))


def test_alerts_of_a_dead_source_survive_the_sinks_and_the_agents_end(site: Site) -> None:
    site.tell("refuse")
    site.start(source={"count": 500}, sink={})
    eventually(lambda: site.sent() == 500 and site.health("source")["held"] == 500)

    site.kill("source")
    eventually(lambda: len(site.pids("source")) == 2)
    site.kill("sink")
    eventually(lambda: len(site.pids("sink")) == 2)
    site.stop()
    assert site.taken() == []
    site.tell("refuse", off=True)
    site.start(source={"count": 500}, sink={})

    eventually(lambda: len(set(site.taken())) == 500)
    assert in_order(site.taken())
    eventually(lambda: not list((site.state / "held").iterdir()))


def test_what_is_under_way_at_a_stop_is_sent_at_the_next_start(site: Site) -> None:
    site.tell("refuse")
    site.start(source={}, sink={})
    eventually(lambda: site.sent() == 2000)

    assert site.stop() < LONG

    site.tell("refuse", off=True)
    site.start(source={"count": 2000}, sink={})
    eventually(lambda: set(site.taken()) >= set(range(1, 2001)))
    assert in_order(site.taken())


def test_a_sink_that_dies_after_storing_gets_again_what_it_did_not_accept_under_the_same_numbers(site: Site) -> None:
    site.tell("crash")
    site.start(source={"count": 100}, sink={})

    eventually(lambda: site.settled("source", 100) and len(site.pids("sink")) == 2 and len(site.taken()) > 100)

    numbers: dict[int, set[int]] = {}
    for line in (site.folder / "taken").read_bytes().splitlines():
        identifier, _, raw = line.split(b" ", 2)
        numbers.setdefault(json.loads(raw)["n"], set()).add(int(identifier))
    assert numbers.keys() == set(range(1, 101))
    assert all(len(one) == 1 for one in numbers.values())


def test_without_a_sink_alerts_are_logged_and_accepted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site.start(odd={"does": "huge"})

    eventually(lambda: "caf\u00e9" in caplog.text)

    alerts = [one.getMessage() for one in caplog.records if "alert: " in one.getMessage()]
    assert alerts[0].startswith('[odd] alert: {"small":1,"text":"yyyy')
    assert len(alerts[0]) < 2100
    eventually(lambda: site.health("odd")["held"] == 0)


def test_an_alert_that_is_too_long_is_cut_and_says_so(site: Site) -> None:
    site.start(odd={"does": "huge"}, sink={})

    eventually(lambda: (site.folder / "taken").exists() and len((site.folder / "taken").read_bytes().split(b"\n")) > 2)

    first, second = ((site.folder / "taken").read_bytes()).splitlines()
    alert = json.loads(first.split(b" ", 2)[2])
    assert alert["small"] == 1
    assert alert["text"] == "y" * len(alert["text"])
    assert alert["list"] == ["z" * len(alert["list"][0])]
    assert alert["cut"] == {"text": (3 << 20) + 2, "list": (2 << 20) + 4}
    assert len(first) <= MAX_LINE_BYTES
    assert json.loads(second.split(b" ", 2)[2])["name"].startswith("caf\u00e9 \ufffd")


def test_what_a_module_prints_is_in_the_log_and_breaks_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site.start(odd={"does": "prints"})

    eventually(lambda: "alert: " in caplog.text and "complained" in caplog.text and "nonsense" in caplog.text)

    messages = [one.getMessage() for one in caplog.records]
    assert "[odd] printed \\x1b[31mred" in messages
    assert '[odd] {"class":"nonsense"}' in messages
    assert site.health("odd")["restarts"] == 0


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("raises", "ended with status 1: RuntimeError: over board"),
        ("returns", "returned without being told to stop"),
        ("ends", "returned without being told to stop"),
        ("hangs", "was killed: it did not answer 3 pings"),
        ("floods", "sent more alerts than it may"),
        ("long", "broke the protocol: message: is longer than"),
    ],
)
def test_a_module_that_misbehaves_is_started_again_and_the_reason_reported(site: Site, does: str, reason: str) -> None:
    site.tell("refuse")
    site.start(PINGING if does == "hangs" else QUICK, odd={"does": does}, sink={})

    eventually(lambda: site.health("odd")["restarts"])
    site.tell("refuse", off=True)
    eventually(lambda: len(site.pids("odd")) >= 2)

    assert reason in site.health("odd")["last_error"]
    assert site.health("odd")["restarts"] >= 1
    assert not alive(int(site.pids("odd")[0]))
    assert site.health("sink")["restarts"] == 0


def test_who_needs_long_to_start_is_not_taken_for_one_that_hangs(site: Site) -> None:
    site._program = ("sh", "-c", 'sleep 3.4; exec "$@"', "sh", *site._program)

    site.start(PINGING, source={"count": 10}, sink={})
    eventually(lambda: site.taken() == list(range(1, 11)))
    patient = [site.health(name)["restarts"] for name in ("source", "sink")]
    site.stop()
    site.start(replace(PINGING, start=1.0), source={"count": 20}, sink={})
    eventually(lambda: site.health("source")["restarts"])

    assert patient == [0, 0]
    assert "was not ready 1 s after its start" in site.health("source")["last_error"]


def test_pauses_between_restarts_grow(site: Site) -> None:
    site.start(Timing(first_pause=0.3, longest_pause=60.0), odd={"does": "raises"})
    began = time.monotonic()

    eventually(lambda: site.health("odd")["restarts"] >= 3)

    assert time.monotonic() - began > 0.6
    assert site.health("odd")["state"] in ("waiting", "running")
    with pytest.raises(Exception, match=r"module odd is not running: .*over board"):
        site.supervisor.socket_of("odd")


def test_a_module_that_does_not_stop_is_killed_in_time_with_all_it_started(site: Site) -> None:
    site.start(odd={"does": "stubborn"}, source={"count": 10}, sink={})
    eventually(lambda: site.pid("odd") and site.pid("source") and site.pid("sink"))
    eventually(lambda: len(site.taken()) == 10)

    assert site.stop() < LONG

    assert not any(alive(site.pid(name)) for name in ("odd", "source", "sink"))


def test_a_modules_own_children_end_with_it(site: Site) -> None:
    site.start(odd={"does": "breeds"})
    eventually(lambda: whole(site.folder / "children") and site.pids("odd"))
    child = int((site.folder / "children").read_text())

    site.kill("odd")

    eventually(lambda: not alive(child))


def test_questions_are_answered_and_bad_ones_harm_nobody(site: Site) -> None:
    import socket

    site.start(odd={"does": "asks"})
    eventually(lambda: site.health("odd")["state"] == "running")
    eventually(lambda: _registered(site, "odd"))
    path = site.supervisor.socket_of("odd")

    def raw(*parts: bytes) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(path)
            with contextlib.suppress(OSError):
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
            return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))

    assert raw(b"not json\n")["success"] is False
    assert raw(b"\n")["success"] is False
    assert raw(b"")["success"] is False
    assert raw(b"[" * 500_000 + b"\n")["success"] is False
    assert "longer than" in raw(b"x" * (1 << 20), b"y\n")["errors"][0]
    assert "no answer" in raw(b'{"word":"raise"}\n')["errors"][0]
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(path)
    assert raw(b'{"word":"bare"}\n')["elements"] == {"word": "bare"}
    assert site.question("odd", {"word": "hello"}).elements == {"word": "hello"}
    silent.close()
    assert site.health("odd")["restarts"] == 0
    mode = os.stat(path).st_mode & 0o777
    assert (mode, os.stat(os.path.dirname(path)).st_mode & 0o777) == (0o600, 0o700)


def test_a_state_directory_with_a_long_name_is_no_obstacle(site: Site) -> None:
    site.state = site.folder / ("long" * 25)
    site.state.mkdir(mode=0o700)
    site.start(odd={"does": "asks"})
    eventually(lambda: _registered(site, "odd"))
    socket = Path(site.supervisor.socket_of("odd"))

    assert site.question("odd", "hello").elements == "hello"
    site.stop()

    assert len(str(socket)) < 100
    assert not socket.parent.exists()


def _registered(site: Site, name: str) -> bool:
    with contextlib.suppress(Exception):
        return bool(site.supervisor.socket_of(name))
    return False
