"""Files whose length is not what they say, or that never end; and reads that end early."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader

from .conftest import holding, never, read

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_taken_out_of_what_has_no_length() -> None:
    reading_end, writing_end = os.pipe()
    try:
        os.write(writing_end, b"for somebody else")

        small = Reader(Questions(()), never).read_small(reading_end, (), ["md5"])

        assert small is None
        assert os.read(reading_end, 100) == b"for somebody else"
    finally:
        os.close(reading_end)
        os.close(writing_end)


@pytest.mark.parametrize("path", ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/null", "/"])
def test_what_says_something_else_of_its_length_is_left_at_its_beginning(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        small = Reader(Questions(()), never).read_small(fd, (), ["md5"])

        assert small is None
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)


def test_a_file_that_does_not_know_its_size_is_read_to_its_end() -> None:
    last = Question("^last$", False)

    assert read(b"first\n" * 10 + b"last", [last], size=0).found == {last}
    assert read(b"first\n" * 10 + b"last", [last], size=4096).found == {last}
    assert read(b"first\n" * 10 + b"last", [last], size=3).found == {last}


@pytest.mark.parametrize("size", [0, 3, 64, 4096])
def test_a_file_looked_at_closely_is_read_to_its_end_whatever_it_said_of_its_length(size: int) -> None:
    content, last = b"first\n" * 10 + b"last", Question("^last$", False)
    assert len(content) == 64

    with holding(content) as fd:
        reading = Reader(Questions([last]), never).read(fd, size, [last], ["md5"], closely=True)

    assert reading.found == {last}
    assert reading.digests == {"md5": hashlib.md5(content).hexdigest().upper()}


def test_a_file_that_says_it_is_empty_and_never_ends_is_given_up() -> None:
    endless = os.open("/dev/zero", os.O_RDONLY)
    try:
        reading = Reader(Questions(()), never).read(endless, 0, (), ["md5"])
    finally:
        os.close(endless)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.ENDLESS
    assert reading.digests is None


def test_time_that_runs_out_inside_a_large_file_stops_the_read() -> None:
    with pytest.raises(DeadlinePassed):
        read(b"a\n" * (2 << 20), [Question("b", False)], expired=lambda: True)


def test_a_file_that_would_make_us_wait_is_reported(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing_end = os.open(fifo, os.O_WRONLY)
    try:
        reading = Reader(Questions(()), never).read(reading_end, 0, (), ["md5"])
    finally:
        os.close(reading_end)
        os.close(writing_end)

    assert reading.problem == (coverage.WOULD_BLOCK, "resource temporarily unavailable")
    assert reading.digests is None
