"""Records made to do harm: to hide who did it, to keep the module busy, to fill its memory, to end it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_audit import record, size, tables
from mig_audit.accounts import Accounts
from mig_audit.event import Events

STAMP = "1700000000.123:7"
CALL = (
    "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=1 pid=4711 auid=0 uid=0 gid=0 euid=0 "
    'suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 comm="x" exe="/tmp/x" key="exec"'
)


def event(*records: tuple[int, str], include_raw: bool = False) -> dict[str, Any]:
    factory = Events(Accounts(time.monotonic), None, include_raw=include_raw)
    return dict(factory.make(STAMP, [(kind, f"audit({STAMP}): {body}") for kind, body in records]))


def length(made: dict[str, Any]) -> int:
    """Bytes, as it travels."""
    return len(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode())


def execve(word: str, pieces: int) -> list[tuple[int, str]]:
    """A long argument, in pieces, as the kernel writes it."""
    return [(1309, f"a1[{number}]={word}") for number in range(pieces)]


@pytest.mark.parametrize("byte", ["01", "FF", "27", "61"])
@pytest.mark.parametrize("include_raw", [False, True])
def test_whoever_starts_a_program_with_endless_arguments_is_still_named(byte: str, include_raw: bool) -> None:
    made = event((1300, CALL), (1309, "argc=2 a0=2F746D702F78 a1_len=480000"), *execve(byte * 3700, 60))

    assert length(made) <= size.MOST
    assert (made["process"]["pid"], made["process"]["exe"]) == (4711, "/tmp/x")
    assert made["process"]["arguments"][0] == "/tmp/x"
    assert made["process"]["arguments"][1]
    assert made["process"]["command"].startswith("/tmp/x ")
    assert made["cut"]["arguments"] > 0


def test_what_was_cut_is_counted_by_kind() -> None:
    paths = [(1302, f'item={number} name="/{number}" nametype=NORMAL') for number in range(4000)]
    others = [(1999, "\x01" * 80) for _ in range(900)]
    made = event((1300, CALL), *others, *paths, *execve("FF" * 3700, 60), include_raw=True)

    assert length(made) <= size.MOST
    assert made["cut"].keys() >= {"raw", "arguments"}
    assert len(made["paths"]) + made["cut"].get("PATH", 0) == 4000
    assert len(made["records"]) + made["cut"].get("UNKNOWN[1999]", 0) == 900
    assert len(made["record_types"]) == 1 + 900 + 4000 + 60


PIECES = st.sampled_from(
    ["\x01", "\\", "'", '"', "\U0001f4a5", "a=", "a1=", "uid=0 ", "FF", 'name="', " ", "\x00", "{"]
)
BODIES = st.builds(lambda piece, times: piece * times, PIECES, st.integers(1, 9000))
KINDS = st.sampled_from([1112, 1300, 1302, 1306, 1307, 1309, 1327, 1400, 1999])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(KINDS, BODIES, st.integers(1, 200)), min_size=1, max_size=4), st.booleans())
def test_no_event_is_too_large(parts: list[tuple[int, str, int]], include_raw: bool) -> None:
    records = [(kind, body[:9000]) for kind, body, times in parts for _ in range(times)]

    assert length(event(*records, include_raw=include_raw)) <= size.MOST


@pytest.mark.parametrize(
    "body", ["a" * 9000, "avc:  denied  {" + " " * 8000 + "x", 'a="' * 3000, "a=b" + " " * 8990 + "c=d", "msg='" * 1800]
)
def test_no_record_takes_long_to_read(body: str) -> None:
    started = time.thread_time()

    record.pairs(body)

    assert time.thread_time() - started < 0.1


def test_a_mode_that_is_no_mode_does_not_end_the_module() -> None:
    made = event((1302, 'item=0 name="/x" mode=0100600300100100600001000000 nametype=NORMAL'))

    assert made["paths"][0]["kind"] == "other"


def test_what_is_remembered_is_bounded_in_number_and_in_length() -> None:
    long = "41" * record.REMEMBERED

    for number in range(10_000):
        tables.syscall(0xC000003E, 1_000_000 + number)

    assert tables.syscall.cache_info().currsize <= 4096
    assert record.unhex(long) is not record.unhex(long)
    assert record.unhex(long[:100]) is record.unhex(long[:100])
