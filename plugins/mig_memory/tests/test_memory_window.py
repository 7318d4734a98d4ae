"""The window against a slow, obvious reference: every text as a whole, matched at once."""

from __future__ import annotations

import ctypes
import mmap
import re
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from mig_memory import patterns
from mig_memory.patterns import Battery
from mig_memory.window import Window

# Expressions whose matches are short, with the same meaning in Python's re on bytes (DOTALL where they say so).
EXPRESSIONS = {
    "ab": rb"ab",
    "a.c": rb"a[^\n]c",
    "(?s)a.{1,3}b": rb"(?s)a.{1,3}b",
    "^ab": rb"\Aab",
    "bc$": rb"bc\Z",
    "(?m)^b": rb"(?m)^b",
    "(?m)c$": rb"(?m)c(?=\n|\Z)",
    r"\bab\b": rb"(?a)\bab\b",
    r"\Bb": rb"(?a)\Bb",
    r"\Aa": rb"\Aa",
    r"c\z": rb"c\Z",
    "a[^b]{2}c": rb"a[^b]{2}c",
    r"a\x00{4}b": rb"a\x00{4}b",
    r"\x00{5}": rb"\x00{5}",
    "(?i)CaB": rb"(?i)cab",
    "(abc|cba|b{4})": rb"(abc|cba|b{4})",
}
NEEDLES = ["6162", "000061", "00000000000000", "61626361", "0a62"]
MOST = 12
"""No match of these is longer."""


@dataclass(frozen=True)
class Piece:
    """Bytes as a read gives them, a run of zeros that was never touched, or the end of a text."""

    data: bytes = b""
    zeros: int = 0
    gap: bool = False


pieces = st.lists(
    st.builds(Piece, data=st.text("abc\n\x00", min_size=1, max_size=30).map(lambda text: text.encode()))
    | st.builds(Piece, zeros=st.integers(1, 60))
    | st.just(Piece(gap=True)),
    max_size=30,
)


def texts_of(given_pieces: list[Piece]) -> list[bytes]:
    texts = [b""]
    for piece in given_pieces:
        if piece.gap:
            texts.append(b"")
        else:
            texts[-1] += piece.data + bytes(piece.zeros)
    return [text for text in texts if text]


def windowed(battery: Battery, given_pieces: list[Piece], chunk: int) -> set[int]:
    window = Window(battery, chunk=chunk, smallest_read=1)
    everything = set(range(len(battery.patterns)))
    wanted = set(everything)
    window.begin(wanted)
    for piece in given_pieces:
        data = piece.data
        while data:
            room = window.room()
            step = min(len(room), len(data))
            room[:step] = data[:step]
            window.commit(step)
            data = data[step:]
        if piece.zeros:
            window.fill(piece.zeros)
        if piece.gap:
            window.end_text()
    window.end_text()
    return everything - wanted


def tight(pattern: patterns.Pattern, overlap: int) -> patterns.Pattern:
    """A pattern whose overlap is as small as its matches allow, so that borders are as cruel as they can be."""
    return patterns.Pattern(pattern.find, min(pattern.overlap, overlap), overlap + 1, pattern.source)


ALL = [tight(patterns.for_contents(text, memory=1 << 20), MOST) for text in EXPRESSIONS] + [
    patterns.for_bytes(bytes.fromhex(needle), memory=1 << 20) for needle in NEEDLES
]
REFERENCE = [re.compile(source) for source in EXPRESSIONS.values()] + [
    re.compile(re.escape(bytes.fromhex(needle))) for needle in NEEDLES
]
TOGETHER = Battery(ALL)


@settings(max_examples=1500, deadline=None)
@given(given_pieces=pieces, chunk=st.integers(2, 40))
def test_nothing_is_missed_or_invented_wherever_the_borders_lie(given_pieces: list[Piece], chunk: int) -> None:
    found = windowed(TOGETHER, given_pieces, chunk)

    texts = texts_of(given_pieces)
    expected = {index for index, one in enumerate(REFERENCE) if any(one.search(text) for text in texts)}
    assert found == expected


@settings(max_examples=200, deadline=None)
@given(given_pieces=pieces, chunk=st.integers(2, 40), index=st.integers(0, len(ALL) - 1))
def test_a_pattern_alone_gives_the_same_as_among_others(given_pieces: list[Piece], chunk: int, index: int) -> None:
    alone = windowed(Battery([ALL[index]]), given_pieces, chunk)

    assert bool(alone) == (index in windowed(TOGETHER, given_pieces, chunk))


@settings(max_examples=50, deadline=None)
@given(before=st.integers(0, 3000), chunk=st.integers(1, 200), length=st.integers(2, 500))
def test_a_byte_string_longer_than_the_reads_is_found_across_them(before: int, chunk: int, length: int) -> None:
    needle = bytes(1 + number % 250 for number in range(length))
    battery = Battery([patterns.for_bytes(needle, memory=1 << 20)])

    assert windowed(battery, [Piece(data=b"x" * before + needle + b"y")], chunk) == {0}
    assert windowed(battery, [Piece(data=b"x" * before + needle[:-1] + b"\xff" + needle[-1:])], chunk) == set()


def test_an_expression_without_a_bound_is_found_across_borders_up_to_the_documented_length() -> None:
    one = patterns.for_contents("(?s)BEGIN.*END", memory=1 << 20)
    assert one.overlap == patterns.LONGEST_UNBOUNDED
    inside = patterns.LONGEST_UNBOUNDED - len("BEGINEND")
    text = b"x" * ((1 << 20) - 100) + b"BEGIN" + b"-" * inside + b"END" + b"x" * (1 << 20)

    assert windowed(Battery([one]), [Piece(data=text)], 1 << 20) == {0}


UNBOUNDED = {"(?s)a.*b": rb"(?s)a.*b", r"a\x00+b": rb"a\x00+b", r"a\x00{20,}b": rb"a\x00{20,}b", "a[^c]*c": rb"a[^c]*c"}
UNBOUNDED_TOGETHER = Battery([patterns.for_contents(one, memory=1 << 20) for one in UNBOUNDED])
long_pieces = st.lists(
    st.builds(Piece, data=st.text("abc\x00", min_size=1, max_size=30).map(lambda text: text.encode()))
    | st.builds(Piece, zeros=st.integers(1, 10_000))
    | st.just(Piece(gap=True)),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(given_pieces=long_pieces, chunk=st.integers(2, 5000))
def test_runs_of_zeros_may_be_shortened_without_any_expression_noticing(given_pieces: list[Piece], chunk: int) -> None:
    found = windowed(UNBOUNDED_TOGETHER, given_pieces, chunk)

    texts = texts_of(given_pieces)
    references = [re.compile(source) for source in UNBOUNDED.values()]
    assert found == {index for index, one in enumerate(references) if any(one.search(text) for text in texts)}


def test_the_pool_of_slow_patterns_finds_what_each_of_them_finds() -> None:
    expressions = ["[a-f]+1", "[g-k]+2", "(?i)needle", "[0-9]{3}-[0-9]{3}", "literal"]
    battery = Battery([patterns.for_contents(one, memory=1 << 20) for one in expressions])
    assert battery._pooled == {0, 1, 2, 3, 4}

    text = b"zz 555-123 zzz NeEdLe zzz hhh2 literal"

    assert windowed(battery, [Piece(data=text)], 8) == {1, 2, 3, 4}


@given(
    counts=st.lists(st.integers(1, 40).map(lambda pages: pages * 4096), min_size=1, max_size=12),
    needle=st.binary(min_size=1, max_size=90),
    zeros=st.integers(1, 20_000),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_read_is_read_to_an_aligned_place(counts: list[int], needle: bytes, zeros: int) -> None:
    window = Window(Battery([patterns.for_bytes(needle + b"\xff" * 9, memory=1 << 20)]), chunk=32 << 10)
    window.begin({0})
    start = ctypes.addressof(ctypes.c_char.from_buffer(window.room()))
    assert start % mmap.PAGESIZE == 0

    for number, count in enumerate(counts):
        while count:
            room = window.room()
            assert ctypes.addressof(ctypes.c_char.from_buffer(room)) % 64 == 0
            read = min(count, len(room) // 4096 * 4096 or len(room))
            room[:read] = b"x" * read
            window.commit(read)
            count -= read
        if number % 3 == 2:
            window.fill(-zeros % 4096 + zeros)
