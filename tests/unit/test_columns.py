"""Rows of declared columns: where they lie in elements, and what becomes of cells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.cells import CellMaker, seconds_of
from mig_core.plugin.columns import Column, ColumnKind, row_schema
from mig_core.plugin.rows import rows_of

if TYPE_CHECKING:
    from mig_core.plugin.columns import Row

NAME = Column("name", ColumnKind.TEXT, "a name", always=True)


def cell(kind: ColumnKind, value: Any) -> Row:
    row: Row = {}
    CellMaker(Column("it", kind, "it")).put(value, row)
    return row


def test_rows_lie_where_the_module_says() -> None:
    elements: Any = {"s1": [{"file": "/a", "info": {"size": 3}}, {"file": "/b", "info": {}}], "s2": [{"file": ""}]}
    columns = (
        Column("search", ColumnKind.TEXT, "label", at="@1"),
        Column("file", ColumnKind.PATH, "path", always=True),
        Column("size", ColumnKind.SIZE, "size", at="info.size"),
    )

    rows = list(rows_of(columns, "*[]", elements))

    assert rows == [{"search": "s1", "file": "/a", "size": 3}, {"search": "s1", "file": "/b"}]


def test_rows_may_lie_below_two_keys() -> None:
    elements: Any = {"listeningport": {"22": [{"name": "a"}], "80": None}}
    columns = (
        Column("question", ColumnKind.TEXT, "what", at="@1"),
        Column("value", ColumnKind.TEXT, "v", at="@2"),
        NAME,
    )

    rows = list(rows_of(columns, "*.*[]", elements))

    assert rows == [{"question": "listeningport", "value": "22", "name": "a"}]


def test_elements_that_are_one_object_are_one_row() -> None:
    assert list(rows_of((NAME,), "", {"name": "x", "other": 1})) == [{"name": "x"}]


@pytest.mark.parametrize("elements", [None, 1, "x", [], {}, {"rows": None}, {"rows": {}}, {"rows": [1, None, [], {}]}])
def test_elements_of_another_shape_have_no_rows(elements: Any) -> None:
    assert list(rows_of((NAME,), "rows[]", elements)) == []


def test_a_cell_of_another_kind_is_not_known() -> None:
    columns = (NAME, Column("size", ColumnKind.SIZE, "size"))

    rows = list(rows_of(columns, "rows[]", {"rows": [{"name": "x", "size": "large"}]}))

    assert rows == [{"name": "x", "size": None}]


def test_a_time_as_the_original_writes_it_is_read() -> None:
    columns = (Column("changed", ColumnKind.TIME, "when"),)

    rows = list(rows_of(columns, "", {"changed": "2026-11-23 06:13:13.956905563 +0000 UTC"}))

    assert rows == [{"changed": "2026-11-23T06:13:13.956905563Z"}]


def test_no_value_is_left_out_and_an_unknown_one_is_null() -> None:
    assert cell(ColumnKind.TEXT, "") == {}
    assert cell(ColumnKind.LIST, []) == {}
    assert cell(ColumnKind.INTEGER, 0) == {"it": 0}
    assert cell(ColumnKind.BOOLEAN, False) == {"it": False}
    assert cell(ColumnKind.INTEGER, None) == {"it": None}


def test_bytes_of_a_name_that_are_no_text_stay_apart() -> None:
    assert cell(ColumnKind.PATH, "/tmp/\udcff\udcfe\u00e9") == {"it": "/tmp/\\xff\\xfe\u00e9"}


def test_a_time_is_a_datetime_or_seconds() -> None:
    assert cell(ColumnKind.TIME, datetime(2026, 11, 23, 6, tzinfo=UTC)) == {"it": "2026-11-23T06:00:00Z"}
    assert cell(ColumnKind.TIME, 0) == {"it": "1970-01-01T00:00:00Z"}
    assert cell(ColumnKind.TIME, 1.5) == {"it": "1970-01-01T00:00:01.500000Z"}


def test_a_time_that_no_calendar_has_is_kept() -> None:
    row = cell(ColumnKind.TIME, 1 << 60)

    assert row == {"it": "@1152921504606846976"}
    assert seconds_of(str(row["it"])) == float(1 << 60)


def test_hexadecimal_hashes_are_in_lower_case_and_others_as_they_are() -> None:
    columns = (Column("sha256", ColumnKind.HASH, "hash"),)

    assert cell(ColumnKind.HASH, "ABCD") == {"it": "abcd"}
    assert cell(ColumnKind.HASH, "SHA256:Ab+/") == {"it": "SHA256:Ab+/"}
    assert list(rows_of(columns, "", {"sha256": "789F"})) == [{"sha256": "789f"}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ColumnKind.INTEGER, True),
        (ColumnKind.INTEGER, "1"),
        (ColumnKind.TEXT, 1),
        (ColumnKind.BOOLEAN, 1),
        (ColumnKind.TIME, "2026-11-23"),
        (ColumnKind.LIST, "abc"),
    ],
)
def test_a_value_of_another_kind_is_its_authors_fault(kind: ColumnKind, value: Any) -> None:
    with pytest.raises(TypeError, match="column it is of kind"):
        cell(kind, value)


def test_the_schema_of_a_row_has_every_column() -> None:
    schema = row_schema((NAME, Column("size", ColumnKind.SIZE, "how large", unit="pages")))

    assert schema["properties"] == {
        "name": {"type": ["string", "null"], "description": "a name", "x-mig-kind": "text"},
        "size": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "how large (pages)",
            "x-mig-kind": "size",
        },
    }
    assert schema["required"] == ["name"]
