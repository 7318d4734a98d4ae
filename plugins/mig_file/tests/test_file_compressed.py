"""Compressed content: read as what it holds, piece by piece, and what cannot be unpacked is said."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.reader import Reader, Reading

# tools/requirements.txt installs it
zstd: Any = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _never() -> bool:
    return False


def _read(
    content: bytes,
    questions: Sequence[Question] = (),
    algorithms: Sequence[str] = (),
    *,
    every_kind: bool = False,
    expired: Callable[[], bool] = _never,
    **bounds: int,
) -> Reading:
    """What a read gives of a file with this content that is to be unpacked; ``bounds`` are those of the reader."""
    reader = Reader(Questions(questions), expired, **bounds)
    fd = os.memfd_create("content")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        return reader.read(fd, len(content), questions, algorithms, expand=True, every_kind=every_kind)
    finally:
        os.close(fd)


def test_time_is_looked_at_even_when_compressed_data_gives_nothing() -> None:
    members = gzip.compress(b"") * 50_000
    looks = iter([False, False])

    with pytest.raises(DeadlinePassed):
        _read(members, (), ["md5"], expired=lambda: next(looks, True))


@pytest.mark.parametrize(
    ("compress", "every_kind"), [(gzip.compress, False), (bz2.compress, True), (lzma.compress, True)]
)
def test_compressed_content_is_read_as_what_it_holds(compress: Callable[[bytes], bytes], every_kind: bool) -> None:
    plain = b"alpha\n" * 300_000 + b"omega"
    omega = Question("^omega$", False)

    reading = _read(compress(plain), [omega], ["md5"], every_kind=every_kind)

    assert reading.found == {omega}
    assert reading.digests == {"md5": hashlib.md5(plain).hexdigest().upper()}
    assert reading.problem is None


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=4), read_size=st.integers(1, 50))
def test_several_gzip_members_are_one_stream(parts: list[bytes], read_size: int) -> None:
    packed = b"".join(gzip.compress(part) for part in parts)

    reading = _read(packed, (), ["sha1"], read_size=read_size)

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
    reading = _read(packed, [Question("^alpha$", False)], ["md5"], every_kind=True)

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

    reading = _read(packed, [Question("^alpha$", False)], ["md5"], every_kind=True)

    assert reading.problem is None
    assert reading.digests == {"md5": hashlib.md5(b"alpha\n").hexdigest().upper()}


def test_a_file_that_only_looks_like_zstd_at_its_beginning_is_read_as_it_is() -> None:
    lz4 = SKIPPABLE + b"\x04\x22\x4d\x18 something else"

    reading = _read(lz4, [Question("something else", False)], every_kind=True)

    assert reading.found
    assert reading.problem is None


def test_zstd_that_needs_more_memory_than_we_give_is_reported() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = compressor.compress(b"alpha") + compressor.flush()

    reading = _read(packed, [Question("absent", False)], every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.NEEDS_MEMORY


def test_bzip2_is_left_alone_when_only_gzip_was_asked_for() -> None:
    packed = bz2.compress(b"alpha")

    reading = _read(packed, (), ["md5"])

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

    reading = _read(damaged, [absent], ["md5"], every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.DAMAGED
    assert reading.digests is None
    assert set(reading.doubtful) == {absent}


def test_what_was_found_before_the_damage_counts() -> None:
    first = Question("^first$", False)

    reading = _read(gzip.compress(b"first\n" * 500_000)[:-4], [first, Question("absent", False)])

    assert reading.found == {first}


def test_a_decompression_bomb_is_given_up_in_time() -> None:
    bomb = gzip.compress(bytes(64 << 20))

    reading = _read(bomb, [Question("absent", False)], expanded_bound=1 << 20)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.TOO_LARGE


def test_xz_that_needs_more_memory_than_we_give_is_reported() -> None:
    greedy = lzma.compress(b"alpha", preset=9)

    reading = _read(greedy, [Question("absent", False)], every_kind=True)

    assert reading.problem is not None
    assert reading.problem[0] == coverage.NEEDS_MEMORY
