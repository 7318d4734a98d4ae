"""Records of logins in every layout, held against what last, lastb and lastlog say of the same files."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_account import utmp
from mig_account.login_files import OTHER_NAME

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
T = 1_790_000_000


def record(
    kind: int, line: str = "", user: str = "", host: str = "", moment: int = 0, pid: int = 0, form: str = "384"
) -> bytes:
    head = struct.pack("<hxxi32s4s32s256shh", kind, pid, line.encode(), b"", user.encode(), host.encode(), 0, 0)
    times = {"384": "<iii", "400": "<i4xqq", "392": "<iqq"}[form]
    return (head + struct.pack(times, 0, moment, 0)).ljust(int(form), b"\0")


HISTORY: tuple[tuple[int, str, str, str, int, int], ...] = (
    (2, "~", "reboot", "6.1", 0, 0),
    (1, "~", "runlevel", "6.1", 5, 53),
    (7, "pts/0", "ada", "10.0.0.1", 10, 100),
    (7, "pts/1", "bob", "gate.example.org", 20, 101),
    (8, "pts/0", "", "", 100, 100),
    (7, "pts/0", "eve", "2001:db8::1", 200, 102),
    (1, "~", "shutdown", "6.1", 300, 0),
    (2, "~", "reboot", "6.1", 400, 0),
    (7, "pts/0", "ada", "10.0.0.1", 410, 110),
    (7, "pts/0", "bob", "10.0.0.1", 420, 111),
    (2, "~", "reboot", "6.1", 500, 0),
    (7, "tty1", "root", "", 510, 1),
    (8, "tty9", "", "", 530, 1),
)


def wtmp(form: str = "384", part: slice = slice(None)) -> bytes:
    lines = HISTORY[part]
    return b"".join(
        record(kind, line, user, host, T + later, pid, form) for kind, line, user, host, later, pid in lines
    )


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """User, line, start and end as last prints them."""
    return [
        (
            one["name"],
            one.get("tty", "system"),
            one["start"].replace("Z", "+00:00"),
            (one.get("end") or "").replace("Z", "+00:00") if one.get("ended") == "logout" else one.get("ended", ""),
        )
        for one in rows
    ]


@pytest.mark.skipif(shutil.which("last") is None, reason="last is not installed")
def test_sessions_and_their_ends_are_those_that_last_says(system: System) -> None:
    place = system.write("/var/log/wtmp", wtmp())

    found = [one for one in told(system.rows(ask=["logins"])) if one[0] != "reboot"]

    words = ["last", "-w", "-f", str(place), "--time-format", "iso"]
    printed = subprocess.run(
        words, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": os.environ["PATH"]}
    )
    peer = [line.split() for line in printed.stdout.splitlines() if line and not line.startswith(("reboot", "wtmp"))]
    ends = ["" if "gone" in words or "still" in words else words[words.index("-") + 1] for words in peer]
    starts = [next(word for word in words if word.startswith("2026-")) for words in peer]
    assert found == [(words[0], words[1], start, end) for words, start, end in zip(peer, starts, ends, strict=True)]
    assert [one[3] for one in found] == [
        "",
        "crash",
        "2026-09-21T14:20:20+00:00",
        "down",
        "down",
        "2026-09-21T14:15:00+00:00",
    ]


@pytest.mark.parametrize("form", ["384", "400", "392"])
def test_every_layout_is_told_from_the_file_alone(form: str, system: System) -> None:
    system.write("/var/log/wtmp", wtmp())
    expected = system.rows(ask=["logins"])
    system.write("/var/log/wtmp", wtmp(form))

    assert system.rows(ask=["logins"]) == expected


def test_a_session_may_begin_in_a_rotated_file_and_end_in_the_next(system: System) -> None:
    system.write("/var/log/wtmp", wtmp(part=slice(4, None)))
    system.write("/var/log/wtmp.1", wtmp(part=slice(2, 4)))
    system.write("/var/log/wtmp.2.gz", gzip.compress(wtmp(part=slice(0, 2))))
    system.write("/var/log/wtmp.log", "another program's")

    result = system.ask(ask=["logins"])

    rows = list(system.module.rows(result))
    assert result.coverage.complete
    first = next(one for one in rows if one["start"] == "2026-09-21T14:13:30Z")
    assert (first["path"], first["end"]) == ("/var/log/wtmp.1", "2026-09-21T14:15:00Z")
    assert rows[-1]["path"] == "/var/log/wtmp.2.gz"


def test_rotated_files_with_dates_are_read_from_the_newest_back(system: System) -> None:
    for name in ("wtmp-20260101", "wtmp-20260901.gz", "wtmp"):
        content = wtmp(part=slice(0, 1))
        system.write(f"/var/log/{name}", gzip.compress(content) if name.endswith("gz") else content)

    paths = [one["path"] for one in system.rows(ask=["logins"])]

    assert paths == ["/var/log/wtmp", "/var/log/wtmp-20260901.gz", "/var/log/wtmp-20260101"]


def test_times_beyond_32_bits_are_those_that_last_prints(system: System) -> None:
    records = record(7, "pts/9", "ada", moment=T) + record(7, "pts/4", "old", moment=0x80000000 - (1 << 32))
    system.write("/var/log/wtmp", records)

    (old,) = system.rows(ask=["logins"], name=["^old$"])

    assert old["start"] == "1901-12-13T20:45:52Z"


@pytest.mark.parametrize("content", [b"\0" * 4000, b"text " * 400, os.urandom(1) * 4000])
def test_a_file_that_has_no_known_layout_is_booked(content: bytes, system: System) -> None:
    system.write("/var/log/wtmp", content)

    result = system.ask(ask=["logins"])

    assert (result.found, result.coverage.complete) == (False, False)


def test_records_that_somebody_emptied_are_counted(system: System) -> None:
    system.write("/var/log/wtmp", wtmp(part=slice(0, 3)) + b"\0" * 768 + wtmp(part=slice(4, None)))

    result = system.ask(ask=["logins"])

    (skipped,) = result.coverage.skipped
    assert (skipped.count, skipped.examples[0], result.coverage.complete) == (2, "/var/log/wtmp", True)


def test_where_nothing_is_recorded_the_answer_is_not_complete(system: System) -> None:
    for kind in ("logins", "last", "attempts", "sources", "sessions"):
        result = system.ask(ask=[kind])

        assert (result.found, result.coverage.complete) == (False, False)


@pytest.mark.skipif(shutil.which("lastb") is None, reason="lastb is not installed")
def test_failed_logins_are_those_that_lastb_says_and_are_counted_by_source(system: System) -> None:
    attempts = [
        ("root", "192.0.2.1"),
        ("admin", "192.0.2.1"),
        ("root", "192.0.2.1"),
        ("x\33[2J", "2001:db8::7"),
        ("", "h"),
    ]
    content = b"".join(record(6, "ssh:notty", user, host, T + n, 7) for n, (user, host) in enumerate(attempts))
    place = system.write("/var/log/btmp", content)
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")

    each = system.rows(ask=["attempts"])
    sources = system.rows(ask=["sources"])

    printed = subprocess.run(["lastb", "-w", "-f", str(place)], capture_output=True, text=True, check=True).stdout
    assert len(each) == len([line for line in printed.splitlines() if line and not line.startswith("btmp")])
    assert [one.get("name") or one.get("names") for one in each] == [None, ["x\33[2J"], "root", ["admin"], "root"]
    assert [one.get("host") for one in each] == [host for _, host in reversed(attempts)]
    assert (sources[0]["host"], sources[0]["count"], sources[0]["names"]) == ("192.0.2.1", 3, ["root 2", "admin 1"])
    assert (sources[0]["start"], sources[0]["end"]) == ("2026-09-21T14:13:20Z", "2026-09-21T14:13:22Z")


def test_of_a_huge_file_the_newest_records_are_read_and_the_rest_is_booked(system: System, monkeypatch: Any) -> None:
    monkeypatch.setattr("mig_account.attempts.MAX_RECORDS", 10)
    content = b"".join(record(6, "ssh:notty", "root", "192.0.2.1", T + n) for n in range(25))
    system.write("/var/log/btmp", content)
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")

    result = system.ask(ask=["attempts"])

    assert [str(one["start"])[-3:] for one in system.module.rows(result)][::9] == ["44Z", "35Z"]
    (skipped,) = result.coverage.skipped
    assert (skipped.count, result.coverage.complete) == (15, False)


def test_what_faillock_remembers_is_an_attempt(system: System) -> None:
    good = struct.pack("=52sHHQ", b"192.0.2.9", 0, 3, T)
    reset = struct.pack("=52sHHQ", b"tty1", 0, 4, T)
    system.write("/run/faillock/ada", good + reset)
    system.write("/var/log/btmp", "")

    (row,) = system.rows(ask=["attempts"])

    assert (row["names"], row["address"], row["kind"]) == (["ada"], "192.0.2.9", "faillock")


@ROOT
@pytest.mark.skipif(shutil.which("lastlog") is None, reason="lastlog is not installed")
def test_the_last_logins_are_those_that_lastlog_says(system: System) -> None:
    place = system.write("/var/log/lastlog", "")
    with place.open("r+b") as file:
        for uid, line, host in (
            (0, b"tty1", b""),
            (1000, b"pts/0", b"192.0.2.1"),
            (60_000, b"pts/1", b"gone.example.org"),
        ):
            file.seek(uid * 292)
            file.write(struct.pack("<i32s256s", T + uid, line, host))
    system.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nada:x:1000:0::/:/bin/sh\nbob:x:1001:0::/:/bin/sh\n")

    found = {one["name"]: (one["tty"], one.get("host", "")) for one in system.rows(ask=["last"])}

    printed = system.within("lastlog").splitlines()[1:]
    peer = {words[0]: words[1] for words in map(str.split, printed) if "**Never" not in words}
    assert {name: tty for name, (tty, _) in found.items() if not name.isdigit()} == peer
    assert found["60000"] == ("pts/1", "gone.example.org")


def test_lastlog_of_another_architecture_is_told_from_the_file(system: System) -> None:
    records = [
        struct.pack("<q32s256s", T + uid, b"pts/0", b"192.0.2.1") if uid % 3 else b"\0" * 296 for uid in range(9)
    ]
    system.write("/var/log/lastlog", b"".join(records))

    assert [one["uid"] for one in system.rows(ask=["last"])] == [1, 2, 4, 5, 7, 8]


@given(raw=st.binary(max_size=900))
@settings(deadline=None)
def test_reading_records_is_total(raw: bytes) -> None:
    layout = utmp.layout_of(raw, len(raw))
    for one in utmp.LAYOUTS:
        if len(raw) >= one.size:
            utmp.read_record(raw[: one.size], one)
    assert layout is None or layout in utmp.LAYOUTS


def test_sessions_of_now_are_those_of_utmp_and_logind(system: System) -> None:
    system.write(
        "/run/utmp",
        record(7, "pts/0", "ada", "192.0.2.1", T, 9) + record(8, "pts/1", "", "", T) + record(2, "~", "reboot", "", T),
    )
    system.write(
        "/run/systemd/sessions/7",
        "# This is private data. Do not parse.\nUID=1000\nUSER=eve\nSTATE=active\nREMOTE=1\nREMOTE_HOST=192.0.2.2\n"
        "SERVICE=sshd\nTYPE=tty\nCLASS=user\nTTY=pts/3\nLEADER=4242\nREALTIME=1790000000000000\n",
    )
    system.write("/run/systemd/sessions/7.ref", "")

    ada, eve = system.rows(ask=["sessions"])

    assert (ada["name"], ada["tty"], ada["address"], ada["kind"]) == ("ada", "pts/0", "192.0.2.1", "login")
    cells = ("name", "uid", "session", "pid", "address", "start", "class", "tty")
    assert [eve[one] for one in cells] == ["eve", 1000, "7", 4242, "192.0.2.2", "2026-09-21T14:13:20Z", "user", "pts/3"]


def test_a_copy_under_a_name_that_is_not_read_is_booked(system: System) -> None:
    system.write("/var/log/wtmp", b"")
    system.write("/var/log/wtmp.bak", b"")
    system.write("/var/log/wtmpx", b"")

    result = system.ask(ask=["logins"])

    assert [(one.reason, one.examples) for one in result.coverage.skipped] == [
        (OTHER_NAME.text, ("/var/log/wtmp.bak",)),
    ]
    assert not result.coverage.complete
