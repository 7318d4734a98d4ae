"""Conditions on columns: the language of targets, about what modules declare."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.column_kind import ColumnKind
from mig_core.domain.document import members
from mig_core.domain.reading.reading import choice, read_fact, read_rows_wish, read_stack_wish
from mig_core.domain.reading.shape import Field, Shape, read_shape
from mig_core.domain.reading.where import All, Any, Cell, Fact, Not, Operator, Test, parse_where
from mig_core.domain.target.tree import FromNow
from mig_core.errors import ConditionError, InvalidDocument

FIELDS = [Field(one.value, one) for one in ColumnKind]
SIZE, TEXT, TIME = (Cell(one.value, one) for one in (ColumnKind.SIZE, ColumnKind.TEXT, ColumnKind.TIME))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("size > 10", 10),
        ("size > '10m'", 10 << 20),
        ("size > '1.5 KiB'", 1536),
        ("size > -1", -1),
        ("duration > '1h30m'", 5400.0),
        ("duration > '2.5'", 2.5),
        ("address = '10.0.0.1'", "10.0.0.1/32"),
        ("boolean = TRUE", True),
        ("time > NOW() - interval '1 day'", FromNow(-timedelta(days=1))),
        ("hash = 'AB'", "AB"),
    ],
)
def test_values_are_written_as_their_column_s_kind_asks(text: str, value: object) -> None:
    condition = parse_where(text, FIELDS)

    assert isinstance(condition, Test)
    assert condition.values == (value,)


def test_words_join_as_in_targets() -> None:
    condition = parse_where("NOT size > 1 AND (text LIKE 'a%' OR agent = 'x') OR tags.role IS NOT NULL", FIELDS)

    big = Test(SIZE, Operator.GREATER, (1,))
    inner = Any((Test(TEXT, Operator.LIKE, ("a%",)), Test(Fact("agent"), Operator.EQUAL, ("x",))))
    assert condition == Any((All((Not(big), inner)), Not(Test(Fact("tags", ("role",)), Operator.IS_NULL))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sise > 1", "did you mean size?"),
        ("nothing = 1", "columns: text"),
        ("size LIKE '1%'", "kind size"),
        ("boolean > true", "kind boolean"),
        ("size = 'large'", "expected a number"),
        ("address <<= 'here'", "neither an address"),
        ("text = 1", "single quotes"),
        ("text = NULL", "IS NULL"),
        ("(text = 'a'", "not closed"),
        ("text ~ '('", "regular expression"),
        ("text = 'a' text = 'b'", "AND, OR or the end"),
        ("", "empty"),
        ("NOT " * 60 + "size = 1", "nested deeper"),
        (" OR ".join(["size = 1"] * 600), "more than"),
        ("x" * 9000, "9000 characters"),
    ],
)
def test_an_error_says_where_and_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_where(text, FIELDS)

    assert said in f"{caught.value} {caught.value.next_step}"
    assert str(caught.value).startswith("where: ")


@given(st.text(alphabet="size text NOTANDOR()'=<>~.-,10m%\x00\ud800é", max_size=60))
def test_nothing_but_a_condition_error_is_raised_whatever_the_text(text: str) -> None:
    with contextlib.suppress(ConditionError):
        parse_where(text, FIELDS)


def test_each_module_s_condition_is_read_with_its_own_columns() -> None:
    one = Shape("one", "rows[]", (Field("size", ColumnKind.SIZE),))
    other = Shape("other", "rows[]", (Field("size", ColumnKind.TEXT),))

    with pytest.raises(ConditionError):
        choice((one, other), "size LIKE '1%'")
    assert choice((one, None), "size > '1k'").conditions[1] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": [{"name": "A", "kind": "text"}]},
        {"columns": [{"name": "a", "kind": "blob"}]},
        {"columns": [{"name": "a", "kind": "text"}, {"name": "a", "kind": "text"}]},
        {"columns": [{"name": "a", "kind": "text", "at": "@1"}]},
        {"columns": [{"name": "a", "kind": "text", "at": "b." * 9 + "c"}]},
        {"rowsat": "a." * 9},
        {"columns": [{"name": f"a{index}", "kind": "text"} for index in range(101)]},
        {"more": 1},
    ],
)
def test_a_shape_is_bounded(wrong: dict[str, object]) -> None:
    document = {"module": "file", "rowsat": "rows[]", "columns": [{"name": "a", "kind": "text"}], **wrong}

    with pytest.raises(InvalidDocument):
        read_shape(members(document, subject="request"))  # type: ignore[arg-type]  # wrong on purpose


def test_a_wish_reads_back_as_it_was_written() -> None:
    shape = Shape(
        "file", "*[]", (Field("path", ColumnKind.PATH, "a.b", always=True), Field("who", ColumnKind.TEXT, "@1"))
    )
    document = {"shapes": [shape.to_json(), None], "where": "path = '/x'", "columns": ["who"], "limit": 7}

    rows = read_rows_wish(members({**document, "sort": ["-who", "agent"]}, subject="request"))  # type: ignore[dict-item]
    stack = read_stack_wish(members({**document, "groupby": ["tags.a.b", "os"], "rare": True}, subject="request"))  # type: ignore[dict-item]

    assert read_rows_wish(members(rows.to_json(), subject="request")) == rows
    assert read_stack_wish(members(stack.to_json(), subject="request")) == stack
    assert rows.choice.shapes == (shape, None)
    assert stack.group_by == (Fact("tags", ("a", "b")), Fact("environment", ("os",)))


def test_facts_are_tags_environment_and_the_name() -> None:
    assert read_fact("agent") == Fact("agent")
    assert read_fact("status") is None
    assert read_fact("tags.") is None
