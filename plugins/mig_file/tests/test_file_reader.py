"""Reading in pieces: whatever the sizes of buffer, lines and windows, the answer is that of the whole content."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader, Reading

# tools/requirements.txt installs it
zstd: Any = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def _never() -> bool:
    return False


def _read(
    content: bytes,
    questions: Sequence[Question] = (),
    algorithms: Sequence[str] = (),
    *,
    expand: bool = False,
    every_kind: bool = False,
    expired: Callable[[], bool] = _never,
    read_size: int = 1 << 20,
    max_line: int = 2 << 20,
    overlap: int = 512 << 10,
    expanded_bound: int = 1 << 30,
    size: int | None = None,
) -> Reading:
    reader = Reader(
        Questions(questions),
        expired,
        read_size=read_size,
        max_line=max_line,
        overlap=overlap,
        expanded_bound=expanded_bound,
    )
    with _holding(content) as fd:
        known = len(content) if size is None else size
        return reader.read(fd, known, questions, algorithms, expand=expand, every_kind=every_kind)


@contextmanager
def _holding(content: bytes) -> Iterator[int]:
    """A descriptor at the beginning of a file with this content."""
    fd = os.memfd_create("content")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


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
    every_line=st.booleans(),
)
def test_pieces_of_any_size_answer_like_the_whole(
    content: bytes, regexes: list[str], read_size: int, every_line: bool
) -> None:
    questions = [Question(regex, every_line) for regex in regexes]
    texts = [line.decode("utf-8", "surrogateescape") for line in _lines(content)]
    texts = ["".join("\ufffd" if 0xDC80 <= ord(one) <= 0xDCFF else one for one in text) for text in texts]
    judge = all if every_line else any

    reading = _read(content, questions, ["sha256"], read_size=read_size)

    for question in questions:
        expected = bool(texts) and judge(re2.search(question.regex, text) is not None for text in texts)
        assert (question in reading.found) == expected
    assert not reading.doubtful
    assert reading.digests == {"sha256": hashlib.sha256(content).hexdigest().upper()}


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
    reader = Reader(Questions(questions), _never, read_size=read_size)
    with _holding(content) as fd:
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


def test_nothing_is_taken_out_of_what_has_no_length() -> None:
    reading_end, writing_end = os.pipe()
    try:
        os.write(writing_end, b"for somebody else")

        small = Reader(Questions(()), _never).read_small(reading_end, (), ["md5"])

        assert small is None
        assert os.read(reading_end, 100) == b"for somebody else"
    finally:
        os.close(reading_end)
        os.close(writing_end)


@pytest.mark.parametrize("path", ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/null", "/"])
def test_what_says_something_else_of_its_length_is_left_at_its_beginning(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        small = Reader(Questions(()), _never).read_small(fd, (), ["md5"])

        assert small is None
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=CONTENT, regexes=st.lists(BOUNDED, min_size=1, max_size=5, unique=True), read_size=st.integers(1, 6))
def test_windows_of_lines_too_long_to_hold_answer_like_the_whole(
    content: bytes, regexes: list[str], read_size: int
) -> None:
    questions = [Question(regex, False) for regex in regexes]
    whole = _read(content, questions)

    reading = _read(content, questions, read_size=read_size, max_line=16, overlap=10)

    assert set(reading.found) == set(whole.found)
    assert not reading.doubtful


def test_a_line_of_many_megabytes_is_searched_to_its_end() -> None:
    content = b"A" * (5 << 20) + b"NEEDLE" + b"B" * (3 << 20) + b"\nTAIL\n"
    needle, tail, absent = Question("NEEDLE", False), Question("^TAIL$", False), Question("AKIA[0-9]{4}", False)

    reading = _read(content, [needle, tail, absent])

    assert set(reading.found) == {needle, tail}
    assert not reading.doubtful


def test_repetition_that_found_nothing_in_a_line_too_long_to_hold_is_left_open() -> None:
    content = b"A" * (5 << 20)
    repeated, every = Question("^A+B", False), Question("^A", True)

    reading = _read(content, [repeated, every])

    assert not reading.found
    assert set(reading.doubtful) == {repeated, every}


def test_a_match_across_the_border_of_two_reads_is_found() -> None:
    content = b"x" * ((1 << 20) - 3) + b"NEEDLE\n" + b"y" * 100
    needle = Question("NEEDLE", False)

    assert _read(content, [needle]).found == {needle}


def test_all_digests_come_from_one_read() -> None:
    names = ["md5", "sha1", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"]
    content = os.urandom(3 << 20)

    reading = _read(content, (), names)

    assert reading.digests == {name: hashlib.new(name, content).hexdigest().upper() for name in names}


def test_a_file_that_does_not_know_its_size_is_read_to_its_end() -> None:
    last = Question("^last$", False)

    assert _read(b"first\n" * 10 + b"last", [last], size=0).found == {last}
    assert _read(b"first\n" * 10 + b"last", [last], size=4096).found == {last}
    assert _read(b"first\n" * 10 + b"last", [last], size=3).found == {last}


@pytest.mark.parametrize("size", [0, 3, 64, 4096])
def test_a_file_looked_at_closely_is_read_to_its_end_whatever_it_said_of_its_length(size: int) -> None:
    content, last = b"first\n" * 10 + b"last", Question("^last$", False)
    assert len(content) == 64

    with _holding(content) as fd:
        reading = Reader(Questions([last]), _never).read(fd, size, [last], ["md5"], closely=True)

    assert reading.found == {last}
    assert reading.digests == {"md5": hashlib.md5(content).hexdigest().upper()}


def test_a_file_that_says_it_is_empty_and_never_ends_is_given_up() -> None:
    endless = os.open("/dev/zero", os.O_RDONLY)
    try:
        reading = Reader(Questions(()), _never).read(endless, 0, (), ["md5"])
    finally:
        os.close(endless)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.ENDLESS
    assert reading.digests is None


def test_time_that_runs_out_inside_a_large_file_stops_the_read() -> None:
    with pytest.raises(DeadlinePassed):
        _read(b"a\n" * (2 << 20), [Question("b", False)], expired=lambda: True)


def test_time_is_looked_at_even_when_compressed_data_gives_nothing() -> None:
    members = gzip.compress(b"") * 50_000
    looks = iter([False, False])

    with pytest.raises(DeadlinePassed):
        _read(members, (), ["md5"], expand=True, expired=lambda: next(looks, True))


@pytest.mark.parametrize(
    ("compress", "every_kind"), [(gzip.compress, False), (bz2.compress, True), (lzma.compress, True)]
)
def test_compressed_content_is_read_as_what_it_holds(compress: Callable[[bytes], bytes], every_kind: bool) -> None:
    plain = b"alpha\n" * 300_000 + b"omega"
    omega = Question("^omega$", False)

    reading = _read(compress(plain), [omega], ["md5"], expand=True, every_kind=every_kind)

    assert reading.found == {omega}
    assert reading.digests == {"md5": hashlib.md5(plain).hexdigest().upper()}
    assert reading.problem is None


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=4), read_size=st.integers(1, 50))
def test_several_gzip_members_are_one_stream(parts: list[bytes], read_size: int) -> None:
    packed = b"".join(gzip.compress(part) for part in parts)

    reading = _read(packed, (), ["sha1"], expand=True, read_size=read_size)

    assert reading.digests == {"sha1": hashlib.sha1(b"".join(parts)).hexdigest().upper()}


ZEROS = bytes(1024)


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"alpha\n") + ZEROS,
        gzip.compress(b"al") + ZEROS + gzip.compress(b"pha\n") + b"\0",
        gzip.compress(b"alpha\n") + bytes(300 << 10),
        bz2.compress(b"alpha\n") + ZEROS,
        lzma.compress(b"alpha\n") + bytes(4),
        lzma.compress(b"al") + bytes(8) + lzma.compress(b"pha\n"),
    ],
)
def test_zeros_behind_a_member_are_padding(packed: bytes) -> None:
    reading = _read(packed, [Question("^alpha$", False)], ["md5"], expand=True, every_kind=True)

    assert reading.problem is None
    assert reading.found
    assert reading.digests == {"md5": hashlib.md5(b"alpha\n").hexdigest().upper()}


def _zstd(content: bytes, **options: int) -> bytes:
    named = {getattr(zstd.CompressionParameter, name): value for name, value in options.items()}
    return bytes(zstd.compress(content, options=named))


SKIPPABLE = b"\x5a\x2a\x4d\x18\x04\0\0\0abcd"


@pytest.mark.parametrize(
    "frames", [["al", "pha\n"], [SKIPPABLE, "alpha\n"], [SKIPPABLE, SKIPPABLE, "al", SKIPPABLE, "pha\n", SKIPPABLE]]
)
def test_zstd_may_begin_with_frames_that_hold_nothing(frames: list[str | bytes]) -> None:
    packed = b"".join(_zstd(one.encode()) if isinstance(one, str) else one for one in frames)

    reading = _read(packed, [Question("^alpha$", False)], ["md5"], expand=True, every_kind=True)

    assert reading.problem is None
    assert reading.digests == {"md5": hashlib.md5(b"alpha\n").hexdigest().upper()}


def test_a_file_that_only_looks_like_zstd_at_its_beginning_is_read_as_it_is() -> None:
    lz4 = SKIPPABLE + b"\x04\x22\x4d\x18 something else"

    reading = _read(lz4, [Question("something else", False)], expand=True, every_kind=True)

    assert reading.found
    assert reading.problem is None


def test_zstd_that_needs_more_memory_than_we_give_is_reported() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = compressor.compress(b"alpha") + compressor.flush()

    reading = _read(packed, [Question("absent", False)], expand=True, every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.NEEDS_MEMORY


def test_bzip2_is_left_alone_when_only_gzip_was_asked_for() -> None:
    packed = bz2.compress(b"alpha")

    reading = _read(packed, (), ["md5"], expand=True)

    assert reading.digests == {"md5": hashlib.md5(packed).hexdigest().upper()}


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(b"alpha" * 100)[:25],
        b"\x1f\x8b",
        b"\x1f\x8bnot gzip at all",
        gzip.compress(b"alpha") + b"TRAILING",
        bz2.compress(b"alpha" * 100)[:30],
        lzma.compress(b"alpha" * 100)[:30],
        b"BZh9not bzip2",
        b"\xfd7zXZ\x00not xz",
    ],
)
def test_damaged_compressed_content_leaves_the_question_open(damaged: bytes) -> None:
    absent = Question("absent", False)

    reading = _read(damaged, [absent], ["md5"], expand=True, every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.DAMAGED
    assert reading.digests is None
    assert set(reading.doubtful) == {absent}


def test_what_was_found_before_the_damage_counts() -> None:
    first = Question("^first$", False)

    reading = _read(gzip.compress(b"first\n" * 500_000)[:-4], [first, Question("absent", False)], expand=True)

    assert reading.found == {first}


def test_a_decompression_bomb_is_given_up_in_time() -> None:
    bomb = gzip.compress(bytes(64 << 20))

    reading = _read(bomb, [Question("absent", False)], expand=True, expanded_bound=1 << 20)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.TOO_LARGE


def test_xz_that_needs_more_memory_than_we_give_is_reported() -> None:
    greedy = lzma.compress(b"alpha", preset=9)

    reading = _read(greedy, [Question("absent", False)], expand=True, every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.NEEDS_MEMORY


def test_a_file_that_would_make_us_wait_is_reported(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing_end = os.open(fifo, os.O_WRONLY)
    try:
        reading = Reader(Questions(()), _never).read(reading_end, 0, (), ["md5"])
    finally:
        os.close(reading_end)
        os.close(writing_end)

    assert reading.problem == (coverage.WOULD_BLOCK, "resource temporarily unavailable")
    assert reading.digests is None
