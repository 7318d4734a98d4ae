"""Sessions and refused passwords in journals that systemd's own programs wrote."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

WRITER = Path("/lib/systemd/systemd-journal-remote")
PEER = pytest.mark.skipif(not WRITER.exists(), reason="systemd-journal-remote is not installed")
MACHINE = "0123456789abcdef0123456789abcdef"
T = 1_790_000_000
STARTED, ENDED = "8d45620c1a4348dbb17410da57c60c66", "3354939424b4456d9802ca8333ed424a"


def exported(place: int, **fields: str) -> str:
    """An entry in the journal's export format."""
    head = {
        "__CURSOR": f"s={MACHINE};i={place:x}", "__REALTIME_TIMESTAMP": str((T + place) * 1_000_000),
        "__MONOTONIC_TIMESTAMP": str(place * 1_000_000), "_BOOT_ID": "b" * 32, "_MACHINE_ID": MACHINE,
    }  # fmt: skip
    return "".join(f"{name}={value}\n" for name, value in (head | fields).items()) + "\n"


def session(place: int, message: str, number: str, user: str) -> str:
    return exported(
        place, MESSAGE_ID=message, SESSION_ID=number, USER_ID=user, LEADER="4242", SYSLOG_IDENTIFIER="systemd-logind"
    )


def refused(place: int, text: str, identifier: str = "sshd") -> str:
    return exported(place, SYSLOG_IDENTIFIER=identifier, MESSAGE=text, _PID="77")


ENTRIES = "".join(
    (
        session(1, STARTED, "1", "ada"),
        session(5, STARTED, "2", "eve"),
        exported(6, MESSAGE="x" * 5000, SYSLOG_IDENTIFIER="cron"),
        session(9, ENDED, "1", "ada"),
        refused(10, "Failed password for root from 192.0.2.1 port 4711 ssh2"),
        refused(
            11,
            "Failed password for invalid user a from 203.0.113.1 port 22 ssh2 from 192.0.2.1 port 4711 ssh2",
            "sshd-session",
        ),
        refused(12, "Failed publickey for root from 192.0.2.1 port 4711 ssh2"),
        refused(13, "Accepted password for root from 192.0.2.1 port 4711 ssh2"),
        refused(14, "Failed password for root from 192.0.2.9 port 1 ssh2", "logger"),
    )
)


def written(system: System, entries: str, **environment: str) -> Path:
    folder = system.root / "var/log/journal" / MACHINE
    folder.mkdir(parents=True)
    place = folder / "system.journal"
    words = [str(WRITER), f"--output={place}", "-"]
    subprocess.run(words, input=entries, text=True, check=True, capture_output=True, timeout=60, env=environment)
    return place


@PEER
@pytest.mark.parametrize("compact", ["0", "1"])
@pytest.mark.parametrize("keyed", ["0", "1"])
def test_sessions_of_logind_are_read_in_every_form_of_file(compact: str, keyed: str, system: System) -> None:
    written(system, ENTRIES, SYSTEMD_JOURNAL_COMPACT=compact, SYSTEMD_JOURNAL_KEYED_HASH=keyed)

    result = system.ask(ask=["logins"])

    cells = [
        (one["name"], one["session"], one["pid"], str(one["start"])[-4:], str(one.get("end", ""))[-4:])
        for one in system.module.rows(result)
    ]
    assert cells == [("eve", "2", 4242, ":25Z", ""), ("ada", "1", 4242, ":21Z", ":29Z")]
    assert result.coverage.complete


@PEER
def test_passwords_that_sshd_refused_are_attempts_and_counted_by_source(system: System) -> None:
    written(system, ENTRIES)

    attempts = system.rows(ask=["attempts"])
    (source,) = system.rows(ask=["sources"])

    assert [(one["names"][0], one["address"], one["pid"]) for one in attempts] == [
        ("a from 203.0.113.1 port 22 ssh2", "192.0.2.1", 77),
        ("root", "192.0.2.1", 77),
    ]
    assert (source["host"], source["count"], source["kind"]) == ("192.0.2.1", 2, "journal")


@PEER
def test_many_entries_are_read_through_all_arrays(system: System) -> None:
    entries = "".join(session(place, STARTED, str(place), "ada") for place in range(1, 400))
    place = written(system, entries)

    found = system.rows(ask=["logins"])

    words = [
        "journalctl",
        "--file",
        str(place),
        f"MESSAGE_ID={STARTED}",
        "-r",
        "-o",
        "cat",
        "--output-fields=SESSION_ID",
    ]
    peer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert [one["session"] for one in found] == peer
    assert len(found) == 399


@PEER
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(at=st.integers(88, 9000), value=st.binary(min_size=1, max_size=8))
def test_a_damaged_journal_is_booked_and_nothing_breaks(at: int, value: bytes, system: System) -> None:
    place = system.root / "var/log/journal" / MACHINE / "system.journal"
    if not place.exists():
        written(system, ENTRIES)
    with place.open("r+b") as file:
        whole = os.pread(file.fileno(), len(value), at)
        os.pwrite(file.fileno(), value, at)

        result = system.ask(ask=["logins", "attempts"])

        os.pwrite(file.fileno(), whole, at)
    assert result.success


@PEER
@pytest.mark.parametrize("length", [0, 100, 208, 3000, *range(5000, 9000, 331)])
def test_a_journal_that_is_cut_off_is_booked(length: int, system: System) -> None:
    os.truncate(written(system, ENTRIES), length)

    result = system.ask(ask=["logins"])

    assert (result.success, result.coverage.complete) == (True, False)
