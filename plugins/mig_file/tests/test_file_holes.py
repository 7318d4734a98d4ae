"""Sparse files: holes are not read, and make no difference to an answer."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.reading import Plain, Sparse, source_of
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader, Reading
from mig_file import FileModule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MIB = 1 << 20


def _never() -> bool:
    return False


def _sparse(path: Path, size: int, pieces: dict[int, bytes]) -> bytes:
    """Makes a file with holes; its content."""
    content = bytearray(size)
    with open(path, "wb") as stream:
        stream.truncate(size)
        for place, piece in pieces.items():
            stream.seek(place)
            stream.write(piece)
            content[place : place + len(piece)] = piece
    return bytes(content)


def _read(
    path: Path, questions: Sequence[Question] = (), algorithms: Sequence[str] = (), expired: Callable[[], bool] = _never
) -> tuple[Reading, int]:
    reader = Reader(Questions(questions), expired)
    fd = os.open(path, os.O_RDONLY)
    try:
        return reader.read(fd, os.fstat(fd).st_size, questions, algorithms), reader.bytes
    finally:
        os.close(fd)


@pytest.fixture
def holes(tmp_path: Path) -> tuple[Path, bytes]:
    content = _sparse(
        tmp_path / "holes",
        40 * MIB + 123,
        {0: b"first\nsecond", 7 * MIB: b"after a hole\n", 20 * MIB - 2: b"xy\n", 40 * MIB + 120: b"end"},
    )
    return tmp_path / "holes", content


REGEXES = [
    "^first$", "^second$", "second", "^after", "after a hole$", "^x", "xy$", "^end", "end$", "^xy$", r"\\x00after",
    r"second\\x00+after", r"^second\\x00*after a hole$", r"second(\\x00\\x00)+after", r"second(\\x00\\x00\\x00)+after",
    r"second(\\x00\\x00\\x00)*\\x00after", r"[^\\x00]\\x00{1000}", r"y\\x00", "absent", "d.*a", "[a-z]+ hole",
]  # fmt: skip


@pytest.mark.parametrize("regex", REGEXES)
@pytest.mark.parametrize("every_line", [False, True])
def test_holes_answer_like_the_zeros_they_stand_for(holes: tuple[Path, bytes], regex: str, every_line: bool) -> None:
    path, content = holes
    question = Question(regex, every_line)
    written = path.with_name("written")
    written.write_bytes(content)

    sparse, read = _read(path, [question])
    plain, _ = _read(written, [question])

    assert read < MIB
    if question not in plain.doubtful:  # a line that is too long to be judged as a whole, with nothing left out
        assert (question in sparse.found) == (question in plain.found)
    assert sparse.problem is None


def test_a_line_that_is_long_only_because_of_a_hole_is_judged_as_a_whole(holes: tuple[Path, bytes]) -> None:
    path, _ = holes
    question = Question(r"second\x00+after a hole$", False)
    absent = Question(r"second\s+after", False)

    reading, _ = _read(path, [question, absent])

    assert reading.found == {question}
    assert not reading.doubtful


def test_digests_count_every_zero(holes: tuple[Path, bytes]) -> None:
    path, content = holes
    names = ["md5", "sha256"]

    alone, read = _read(path, (), names)
    together, _ = _read(path, [Question("^end", False)], names)

    expected = {name: hashlib.new(name, content).hexdigest().upper() for name in names}
    assert alone.digests == together.digests == expected
    assert read < MIB


def test_a_file_that_is_nothing_but_a_hole_is_all_zeros(tmp_path: Path) -> None:
    content = _sparse(tmp_path / "hole", 9 * MIB, {})
    zeros = Question(r"^\x00+$", False)

    reading, read = _read(tmp_path / "hole", [zeros], ["sha1"])

    assert reading.found == {zeros}
    assert reading.digests == {"sha1": hashlib.sha1(content).hexdigest().upper()}
    assert read == 0


def test_the_deadline_holds_while_zeros_are_digested(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as stream:
        stream.truncate(1 << 40)
    started = time.monotonic()

    with pytest.raises(DeadlinePassed):
        _read(tmp_path / "huge", (), ["md5"], lambda: time.monotonic() > started + 0.2)


def test_a_file_without_holes_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"x" * (4 * MIB))
    _sparse(tmp_path / "sparse", 4 * MIB, {})
    kinds = []
    for name in ("whole", "sparse"):
        fd = os.open(tmp_path / name, os.O_RDONLY)
        kinds.append(type(source_of(fd, 4 * MIB)))
        os.close(fd)

    assert kinds == [Plain, Sparse]


def test_hundreds_of_gigabytes_of_hole_cost_nothing_with_and_without_decompression(tmp_path: Path) -> None:
    with open(tmp_path / "lastlog", "wb") as stream:
        stream.truncate(300 << 30)
        stream.seek(200 << 30)
        stream.write(b"EVIL")
    for number in range(5):
        (tmp_path / f"{number}.log").write_text("EVIL\n")
    module, started = FileModule(), time.process_time()

    for options in ({}, {"decompressall": True}):
        raw = {"paths": [str(tmp_path)], "contents": ["^EVIL|EVIL"], "options": {"matchall": True} | options}
        parsed = module.parse_parameters({"searches": {"s1": raw}})
        elements: Any = module.run(parsed, Context(deadline=time.monotonic() + 60)).elements
        assert len(elements["s1"]) == 6

    assert time.process_time() - started < 20
