"""Looking at many things at once, and naming the first that is wrong."""

from __future__ import annotations

import io
import shutil
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import StoreUnavailable
from mig_core.soundness import (
    LEAST_SECONDS,
    LITTLE_ROOM,
    SECONDS,
    Wrong,
    document,
    examine,
    look_at_clock,
    look_at_room,
    seconds_left,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def well() -> Iterator[str | Wrong]:
    yield "it is there\nWRONG   forged: line"


def raising() -> Iterator[str | Wrong]:
    yield "the first half"
    raise StoreUnavailable("it does not answer", next_step="start it")


def broken() -> Iterator[str | Wrong]:
    yield from ()
    raise ZeroDivisionError("by nought")


def test_the_first_thing_that_is_wrong_is_named_with_the_next_step() -> None:
    out = io.StringIO()

    sound = tell("mig-x", examine({"files": well, "database": raising, "keys": broken}, seconds=30), out)

    assert not sound
    assert out.getvalue().splitlines() == [
        r"ok      files: it is there\x0aWRONG   forged: line",
        "ok      database: the first half",
        "WRONG   database: it does not answer",
        "        start it",
        "WRONG   keys: ZeroDivisionError: by nought",
        "mig-x: database: it does not answer (and 1 more)",
        "next: start it",
    ]


def test_when_all_is_well_it_says_so() -> None:
    out = io.StringIO()

    assert tell("mig-x", examine({"files": well}, seconds=30), out)

    assert out.getvalue().splitlines()[-1] == "mig-x: all is well"


def test_what_gives_no_answer_is_wrong_and_holds_up_nothing_else() -> None:
    never = threading.Event()

    def silent() -> Iterator[str | Wrong]:
        yield "connected"
        never.wait()

    try:
        seen = examine({"broker": silent, "files": well}, seconds=1.5)
    finally:
        never.set()

    assert [one["ok"] for one in document(seen)] == [False, True]
    assert seen[0].lines[0] == "connected"
    assert "no answer within 1.5 s" in seen[0].wrongs[0].problem


@pytest.mark.parametrize(("seconds", "word"), [(59, ""), (-59, ""), (61, "ahead of"), (-61, "behind")])
def test_clocks_may_differ_by_a_minute(seconds: int, word: str) -> None:
    said = look_at_clock(timedelta(seconds=seconds), "the platform's clock")

    assert isinstance(said, Wrong) is bool(word)
    assert word in str(said)


def test_a_folder_that_is_not_there_yet_is_judged_by_the_disk_it_will_be_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "not" / "yet"
    (before,) = look_at_room(folder)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, LITTLE_ROOM - 1))
    (after,) = look_at_room(folder)

    assert "are free below" in str(before)
    assert isinstance(after, Wrong)
    assert "63 MiB are free" in after.problem


def test_the_start_of_a_program_counts_but_leaves_time_for_looks() -> None:
    assert LEAST_SECONDS <= seconds_left() < SECONDS
    assert seconds_left(30.0) == 30.0
