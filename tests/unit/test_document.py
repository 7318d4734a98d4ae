"""Reading JSON from outside: bounded, strict, and total."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.document import MAX_DEPTH, MAX_SEPARATORS, Members, dump, load, members
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ENCODABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ENCODABLE, inner, max_size=4),
    max_leaves=20,
)


def read(raw: bytes, max_bytes: int = 1 << 20) -> object:
    return load(raw, subject="thing", max_bytes=max_bytes)


@given(ANY_JSON)
def test_what_is_dumped_is_read_back_the_same(value: object) -> None:
    assert read(dump(value)) == value  # type: ignore[arg-type]  # the strategy makes JSON; its type does not say so


@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from('{}[]",:0123456789eE+-.\\ud8 nulltrefasINity'), max_size=60).map(str.encode)
)
def test_reading_any_bytes_gives_a_value_or_an_invalid_document(raw: bytes) -> None:
    try:
        read(raw)
    except InvalidDocument as error:
        assert error.subject == "thing"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b'{"a":1,"a":2}', "appears twice"),
        (b'{"x":{"a":1,"b":2,"a":1}}', "appears twice"),
        (b"NaN", "not a JSON number"),
        (b"[-Infinity]", "not a JSON number"),
        (b"1e999", "too large a number"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b'"\xff"', "is not JSON"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\uDFFF":1}', "surrogate"),
        (b"9" * 5000, "is not JSON"),
        (b"", "is not JSON"),
        (b"{} {}", "is not JSON"),
    ],
)
def test_what_is_no_clean_json_is_refused_with_the_reason(raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read(raw)


def test_a_pair_of_surrogates_and_a_spelt_out_backslash_are_text() -> None:
    assert read(rb'["\ud83d\ude00", "\\ud800"]') == ["\U0001f600", "\\ud800"]


def test_size_is_checked_before_anything_is_decoded() -> None:
    with pytest.raises(InvalidDocument, match="11 bytes, at most 10"):
        read(b"\xff" * 11, max_bytes=10)


def test_many_keys_with_one_twice_are_refused_in_no_time() -> None:
    raw = b"{" + b",".join(b'"%d":0' % number for number in (*range(90_000), 89_999)) + b"}"
    began = time.process_time()

    with pytest.raises(InvalidDocument, match="appears twice"):
        read(raw)

    assert time.process_time() - began < 5


def test_undecodable_file_names_become_replacement_characters() -> None:
    assert "�" in dump({"name": b"a\xffb".decode("utf-8", "surrogateescape")}).decode("utf-8")


def opened(**values: object) -> Members:
    return members(json.loads(json.dumps(values)), subject="thing", path="outer")


def test_every_fault_names_the_path() -> None:
    faults: list[tuple[Callable[[Members], object], str]] = [
        (lambda m: m.take("missing"), "thing: outer.missing: is missing"),
        (lambda m: m.text("n", max_length=9), "thing: outer.n: must be a string, got a number"),
        (lambda m: m.text("s", max_length=1), "thing: outer.s: is 2 characters long, at most 1 are accepted"),
        (lambda m: m.text("nul", max_length=9), "thing: outer.nul: contains a NUL character"),
        (lambda m: m.integer("t", minimum=0, maximum=9), "thing: outer.t: must be a whole number, got a boolean"),
        (lambda m: m.integer("n", minimum=8, maximum=9), "thing: outer.n: must be from 8 to 9, got 7"),
        (lambda m: m.boolean("n"), "thing: outer.n: must be true or false, got a number"),
        (lambda m: m.mapping("l"), "thing: outer.l: must be an object, got a list"),
        (lambda m: m.items("l", minimum=3, maximum=4), "thing: outer.l: must have 3 to 4 entries, got 2"),
        (lambda m: list(m.objects("l", minimum=0, maximum=4)), "thing: outer.l[0]: must be an object, got a number"),
        (
            lambda m: m.texts("l", maximum=4, max_length=9),
            "thing: outer.l[0]: must be a string of at most 9 characters",
        ),
        (lambda m: m.object("o").take("x"), "thing: outer.o.x: is missing"),
        (lambda m: m.close(), "thing: outer.l: is not a known key"),
    ]

    for read_it, text in faults:
        with pytest.raises(InvalidDocument) as error:
            read_it(opened(n=7, s="ab", nul="a\x00", t=True, l=[1, 2], o={}))
        assert str(error.value) == text


def test_missing_and_null_members_take_their_defaults() -> None:
    given = opened(a=None, b=None, c=None, d=None, e=None)

    assert given.text("a", max_length=1, default="x") == "x"
    assert given.integer("b", minimum=0, maximum=1, default=5) == 5
    assert given.boolean("c", default=True) is True
    assert given.mapping("d", default={}) == {}
    assert given.texts("e", maximum=1, max_length=1) == ()
    assert not given.has("f")
    given.close()


def test_a_document_of_nothing_but_values_is_refused_before_it_fills_the_memory() -> None:
    many = b"[" + b"[]," * (MAX_SEPARATORS // 2) + b"[]]"
    few = b'["' + b"x" * (8 << 20) + b'"]'

    with pytest.raises(InvalidDocument, match="values"):
        load(many, subject="result", max_bytes=32 << 20)
    assert load(few, subject="result", max_bytes=32 << 20)
