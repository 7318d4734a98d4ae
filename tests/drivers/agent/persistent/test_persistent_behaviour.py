"""The supervisor with real processes: who misbehaves, hangs or does not stop is ended; who asks is answered."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mig_core.agent.persistent.timing import Timing
from mig_core.plugin.persistent import MAX_LINE_BYTES
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

Site = Any
"""It lives in conftest.py, which cannot be imported under this import mode."""

LONG = 30.0
"""Seconds for an end that is to take less than five, on a busy machine. Without its bounds it would never come."""


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
    site.start(site.PINGING if does == "hangs" else site.QUICK, odd={"does": does}, sink={})

    eventually(lambda: site.health("odd")["restarts"])
    site.tell("refuse", off=True)
    eventually(lambda: len(site.pids("odd")) >= 2)

    assert reason in site.health("odd")["last_error"]
    assert site.health("odd")["restarts"] >= 1
    assert not alive(int(site.pids("odd")[0]))
    assert site.health("sink")["restarts"] == 0


def test_who_needs_long_to_start_is_not_taken_for_one_that_hangs(site: Site) -> None:
    site._program = ("sh", "-c", 'sleep 3.4; exec "$@"', "sh", *site._program)

    site.start(site.PINGING, source={"count": 10}, sink={})
    eventually(lambda: site.taken() == list(range(1, 11)))
    patient = [site.health(name)["restarts"] for name in ("source", "sink")]
    site.stop()
    site.start(replace(site.PINGING, start=1.0), source={"count": 20}, sink={})
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
    eventually(lambda: site.lines("children") and site.pids("odd"))
    child = int((site.folder / "children").read_text())

    site.kill("odd")

    eventually(lambda: not alive(child))


def test_questions_are_answered_and_bad_ones_harm_nobody(site: Site) -> None:
    import socket

    site.start(odd={"does": "asks"})
    eventually(lambda: site.health("odd")["state"] == "running")
    eventually(lambda: site.registered("odd"))
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
    eventually(lambda: site.registered("odd"))
    socket = Path(site.supervisor.socket_of("odd"))

    assert site.question("odd", "hello").elements == "hello"
    site.stop()

    assert len(str(socket)) < 100
    assert not socket.parent.exists()
