"""Reading in pieces: whatever the sizes of buffer, lines and windows, the answer is that of the whole content."""

from __future__ import annotations

import hashlib
import os
import random
import re
from typing import TYPE_CHECKING

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_endpoint.files.calls import Direct
from mig_endpoint.finding import patterns
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader, Reading

from .conftest import holding, never, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _lines(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


CONTENT = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"aaaa", b"\n", b"\n", b"\r\n", b"\r", b"\xc3\xa9", b"\xff", b"xyzzy"]),
    max_size=30,
).map(b"".join)
BOUNDED = st.sampled_from(["ab", "^a", "b$", "^ab$", "a.b", "^$", "xyzzy", "é", r"\ba", r"a\b", r"[^a]b", "aaaa"])


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=CONTENT,
    regexes=st.lists(BOUNDED, min_size=1, max_size=5, unique=True),
    read_size=st.integers(1, 9),
    front=st.sampled_from([0, 1, 3, 8, 4096]),
    every_line=st.booleans(),
    algorithms=st.sampled_from([(), ("sha256",)]),
)
def test_pieces_of_any_size_answer_like_the_whole(
    content: bytes, regexes: list[str], read_size: int, front: int, every_line: bool, algorithms: tuple[str, ...]
) -> None:
    questions = [Question(regex, every_line) for regex in regexes]

    reading = read(content, questions, algorithms, read_size=read_size, front=front)

    assert set(reading.found) == _found_line_by_line(content, questions)
    assert not reading.doubtful
    if algorithms:
        assert reading.digests == {"sha256": hashlib.sha256(content).hexdigest().upper()}


def _found_line_by_line(content: bytes, questions: Sequence[Question]) -> set[Question]:
    """What a plain reading finds: each line by itself, as text, from a content held as a whole."""
    texts = [line.decode("utf-8", "surrogateescape") for line in _lines(content)]
    texts = ["".join("\ufffd" if 0xDC80 <= ord(one) <= 0xDCFF else one for one in text) for text in texts]
    return {
        one
        for one in questions
        if texts and (all if one.every_line else any)(re2.search(one.regex, text) is not None for text in texts)
    }


NEEDLES = [
    ("AKIA[0-9A-Z]{4}", b"AKIA0Z9Y"),
    (r"(?i)(password|secret)\s*[:=]\s*[a-z0-9]{4}", b"SeCret = b0b1"),
    (r"[a-z.-]+@[a-z]+\.example\.net", b"a.b@c.example.net"),
    ("^key AKIA$", b"key AKIA"),
    ("a.b", "a\u00e9b".encode()),
    ("(?i)key-zone", "\u212aEY-Zone".encode()),
    (r"(?i)\bzulu[0-9]$", b"-ZuLu7"),
]
NEARLY = [b"AKIA", b"secret", b"@.example.net", b"=", b"key AKIA ", b"aAb"]
"""Texts that a match contains, and no match."""


@pytest.mark.parametrize("front", [0, 16, 4096])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("regex", "needle"), NEEDLES)
def test_a_hit_is_found_wherever_pieces_end(regex: str, needle: bytes, end: bytes, front: int) -> None:
    question = Question(regex, False)
    lines = [b"of no interest %d" % number for number in range(12)]

    for read_size in range(16, 66):
        found = read(end.join([*lines, needle, *lines]), [question], read_size=read_size, front=front)
        last = read(end.join([*lines, *lines, needle]), [question], read_size=read_size, front=front)
        absent = read(end.join([*lines, needle[:-1] + b"\x00", *lines]), [question], read_size=read_size, front=front)

        assert found.found == {question}, read_size
        assert last.found == {question}, read_size
        assert not absent.found, read_size


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), read_size=st.integers(1, 80), front=st.sampled_from([0, 5, 64, 4096]))
def test_pieces_that_are_skimmed_over_answer_like_lines_read_one_by_one(
    data: st.DataObject, read_size: int, front: int
) -> None:
    asked = data.draw(st.lists(st.sampled_from(NEEDLES), min_size=1, max_size=4, unique=True))
    pieces = st.sampled_from([*NEARLY, *(needle for _, needle in NEEDLES), b"\r", b"\xff", b" nothing here "])
    line = st.lists(pieces, max_size=2).map(b"".join) | st.sampled_from([b"", b"x" * 70, b"of no interest"])
    content = b"\n".join(data.draw(st.lists(line, max_size=12)))
    questions = [Question(regex, False) for regex, _ in asked]

    reading = read(content, questions, read_size=read_size, front=front)

    assert set(reading.found) == _found_line_by_line(content, questions)
    assert not reading.doubtful


COMPARED = [
    *(regex for regex, _ in NEEDLES if regex != "a.b"),
    "^user=[a-z]+ zone$",
    "zone$",
    r"\bzone\b",
    "(?i)^ZONE",
    "(?i)quiz|zebra",
    "z[^a]ne",
    "Q?zulu",
    "^$",
    "user|zone",
    "(?i)(user|zone|key)[= -]",
    "(zone|user=q|user=k)[a-z ]*z",
    "(?i)(zebra|zulu8|skey-)$",
    "(?i)key-z|QUIZ ",
    "[0-9]{6}",
]
"""Of the same meaning to Python's own ``re``."""
TOKENS = [
    "zone",
    "user=",
    "Zone",
    "QUIZ",
    "zebra",
    "zulu8",
    "-ZULU9",
    "key-",
    "ey-zone",
    "\u212aey-zone",
    "\u00e9",
    "=",
]
QUIET = ["of no interest", "nothing", "", "n" * 90, "1234 5", "o" * 30, "in it"]


@pytest.mark.parametrize("many_bytes", [0, 100, patterns.MANY_BYTES])
@pytest.mark.parametrize("seed", range(4))
def test_files_of_many_pieces_answer_like_pythons_own_expressions(
    seed: int, many_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MANY_BYTES", many_bytes)
    chance = random.Random(seed)
    for _ in range(40):
        # long quiet stretches, and some in which every line holds a part of what is looked for
        lines: list[str] = []
        for _ in range(chance.randrange(1, 8)):
            words = [*QUIET, *chance.sample(TOKENS, chance.choice([0, 0, 1, 2, 5]))]
            lines += [" ".join(chance.choices(words, k=chance.randrange(4))) for _ in range(chance.randrange(60))]
        content = "".join(line + chance.choice(["\n", "\n", "\r\n"]) for line in lines).encode()
        content = content[: len(content) - chance.randrange(2)]
        regexes = chance.sample(COMPARED, chance.randrange(1, 3))
        questions = [Question(regex, chance.random() < 0.1) for regex in regexes]
        texts = [line.decode() for line in _lines(content)]

        reading = read(content, questions, read_size=chance.randrange(20, 400), front=chance.choice([0, 16, 64, 4096]))

        for one in questions:
            judge = all if one.every_line else any
            expected = bool(texts) and judge(re.search(one.regex, text) is not None for text in texts)
            assert (one in reading.found) == expected, (one, content)


class _Meanwhile(Direct):
    """Somebody else who writes to the file between two reads."""

    def __init__(self, change: Callable[[int], object], after: int) -> None:
        self._change = change
        self._after = after

    def readv(self, fd: int, buffers: Sequence[memoryview]) -> int:  # type: ignore[override]
        if not self._after:
            self._change(fd)
        self._after -= 1
        return os.readv(fd, buffers)


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("regex", ["zone [0-9]", "(?i)QUIZ", "zone|quiz"])
def test_a_file_that_changes_while_it_is_read_is_read_as_it_then_is(regex: str, after: int) -> None:
    question = Question(regex, False)
    quiet, hit = b"of no interest\n" * 40, b"zone 7 quiz\n"

    def read(content: bytes, change: Callable[[int], object]) -> Reading:
        reader = Reader(Questions([question]), never, read_size=128, front=64)
        with holding(content) as fd:
            return reader.read(fd, len(content), [question], (), calls=_Meanwhile(change, after))

    shrunk = read(quiet + hit, lambda fd: os.ftruncate(fd, 300))
    overwritten = read(quiet, lambda fd: os.pwrite(fd, hit * 10, len(quiet) - len(hit) * 10))
    grown = read(quiet, lambda fd: os.pwrite(fd, hit, len(quiet)))

    assert (shrunk.found, shrunk.problem) == (set(), None)
    assert overwritten.found == {question}
    assert grown.problem is None


def test_one_reader_answers_for_each_file_by_itself() -> None:
    questions = [Question(regex, False) for regex, _ in NEEDLES[:2]]
    reader = Reader(Questions(questions), never, read_size=64, front=8)
    quiet, long = b"of no interest\n" * 40, b"x" * 500 + b"\n"
    contents = [quiet, quiet + NEEDLES[0][1], long + quiet, NEEDLES[1][1] + b"\n" + long, quiet + long + NEEDLES[0][1]]

    for content in contents * 3:
        with holding(content) as fd:
            reading = reader.read(fd, len(content), questions, ())

        assert set(reading.found) == _found_line_by_line(content, questions)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=CONTENT,
    regexes=st.lists(BOUNDED | st.just("(?i)XYZ+Y"), min_size=1, max_size=3, unique=True),
    every_line=st.booleans(),
    algorithms=st.sampled_from([(), ("sha256",)]),
    read_size=st.sampled_from([8, 1 << 20]),
)
def test_a_small_file_of_which_nothing_is_known_is_read_as_one_that_is_known(
    content: bytes, regexes: list[str], every_line: bool, algorithms: tuple[str, ...], read_size: int
) -> None:
    questions = [Question(regex, every_line) for regex in regexes]
    reader = Reader(Questions(questions), never, read_size=read_size)
    with holding(content) as fd:
        known = reader.read(fd, len(content), questions, algorithms)
        os.lseek(fd, 0, os.SEEK_SET)

        small = reader.read_small(fd, questions, algorithms)
        position = os.lseek(fd, 0, os.SEEK_CUR)

    assert (small is None) == (not 0 < len(content) < read_size)
    if small is None:
        assert position == 0
    else:
        assert small.found == known.found
        assert small.digests == known.digests


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=CONTENT, regexes=st.lists(BOUNDED, min_size=1, max_size=5, unique=True), read_size=st.integers(1, 6))
def test_windows_of_lines_too_long_to_hold_answer_like_the_whole(
    content: bytes, regexes: list[str], read_size: int
) -> None:
    questions = [Question(regex, False) for regex in regexes]
    whole = read(content, questions)

    reading = read(content, questions, read_size=read_size, max_line=16, overlap=10)

    assert set(reading.found) == set(whole.found)
    assert not reading.doubtful


def test_a_line_of_many_megabytes_is_searched_to_its_end() -> None:
    content = b"A" * (5 << 20) + b"NEEDLE" + b"B" * (3 << 20) + b"\nTAIL\n"
    needle, tail, absent = Question("NEEDLE", False), Question("^TAIL$", False), Question("AKIA[0-9]{4}", False)

    reading = read(content, [needle, tail, absent])

    assert set(reading.found) == {needle, tail}
    assert not reading.doubtful


def test_repetition_that_found_nothing_in_a_line_too_long_to_hold_is_left_open() -> None:
    content = b"A" * (5 << 20)
    repeated, every = Question("^A+B", False), Question("^A", True)

    reading = read(content, [repeated, every])

    assert not reading.found
    assert set(reading.doubtful) == {repeated, every}


def test_a_match_across_the_border_of_two_reads_is_found() -> None:
    content = b"x" * ((1 << 20) - 3) + b"NEEDLE\n" + b"y" * 100
    needle = Question("NEEDLE", False)

    assert read(content, [needle]).found == {needle}


def test_all_digests_come_from_one_read() -> None:
    names = ["md5", "sha1", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"]
    content = os.urandom(3 << 20)

    reading = read(content, (), names)

    assert reading.digests == {name: hashlib.new(name, content).hexdigest().upper() for name in names}
