"""Modules whose answer is rows: filters, limits, what is booked, what is left out, lines."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.cli import ask_options
from mig_core.domain.document import dump
from mig_core.errors import ParameterError, PluginError
from mig_core.plugin.cells import CellMaker
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason, Tally
from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.parameters import RESERVED, Kind, Parameter
from mig_core.plugin.table import TableContext, TableModule
from mig_core.plugin.written_rows import RowWriter, WrittenRows
from mig_core.testing.module_contract import ModuleContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.parameters import Values

NOW = 1_795_000_000.0
WITH_HASH: dict[str, Any] = {"with": ["sha256"]}
DENIED = Reason("permission denied")


class Things(TableModule):
    """Rows that the test gives, and what looking at them cost."""

    info = ModuleInfo(name="things", summary="which things there are")
    columns = (
        Column("pid", ColumnKind.INTEGER, "number", always=True),
        Column("exe", ColumnKind.PATH, "program", masked=True),
        Column("started", ColumnKind.TIME, "when it began"),
        Column("start_user", ColumnKind.TEXT, "whose"),
        Column("deleted", ColumnKind.BOOLEAN, "program is deleted"),
        Column("ports", ColumnKind.LIST, "ports"),
        Column("sha256", ColumnKind.HASH, "hash of the program", on_request=True, masked=True),
        Column("memory", ColumnKind.SIZE, "memory", masked=True),
    )
    options = (Parameter(name="namespaces", key="namespaces", kind=Kind.BOOLEAN, help="Every namespace"),)
    rows_given: ClassVar[list[dict[str, Any]]] = []

    def __init__(self) -> None:
        super().__init__(now=lambda: NOW, partial_interval=0)
        self.hashed: list[object] = []
        self.seen: TableContext | None = None

    def look(self, context: TableContext, tally: Tally) -> Iterator[Mapping[str, Cell]]:
        self.seen = context
        for row in self.rows_given:
            tally.examined("things")
            if row.get("broken"):
                raise OSError("cannot go on")
            if row.get("denied"):
                tally.failed(DENIED, f"/proc/{row['pid']}", "not yours")
                continue
            if context.rules_out(**row):
                continue
            if context.wants("sha256"):
                self.hashed.append(row["pid"])
                row = {**row, "sha256": "ab" * 32}
            yield row

    def check(self, values: Values) -> None:
        if values.boolean("namespaces") and values.texts("pid"):
            raise ParameterError("namespaces", "goes with no pid")


ROWS: list[dict[str, Any]] = [
    {"pid": 1, "exe": "/sbin/init", "started": NOW - 90_000, "start_user": "root", "memory": 4096},
    {"pid": 2, "exe": "", "started": NOW - 90_000, "start_user": "root"},
    {"pid": 7, "exe": "/tmp/x y", "started": NOW - 60, "start_user": "bob", "deleted": True, "ports": ["80", "443"]},
    {"pid": 8, "exe": None, "started": NOW - 60, "start_user": "eve", "deleted": False},
]


class TestThingsContract(ModuleContract):
    module = type("Given", (Things,), {"rows_given": ROWS})()
    good_parameters: ClassVar[dict[str, Any]] = {"with": ["sha256"]}


def module_with(rows: list[dict[str, Any]]) -> Things:
    module = Things()
    module.rows_given = rows  # type: ignore[misc]  # the class has none: each test its own
    return module


def asked(module: Things, seconds: float = 5, **raw: Any) -> ModuleResult:
    return module.run(module.parse_parameters(raw), Context(deadline=time.monotonic() + seconds))


def pids(rows: list[dict[str, Any]] = ROWS, **raw: Any) -> list[object]:
    module = module_with(rows)
    return [row["pid"] for row in module.rows(asked(module, **raw))]


def test_without_filters_every_row_is_answered() -> None:
    result = asked(module_with(ROWS))

    assert result.elements["rows"] == [  # type: ignore[index,call-overload]  # any JSON
        {"pid": 1, "exe": "/sbin/init", "started": "2026-11-17T10:06:40Z", "start_user": "root", "memory": 4096},
        {"pid": 2, "started": "2026-11-17T10:06:40Z", "start_user": "root"},
        {
            "pid": 7,
            "exe": "/tmp/x y",
            "started": "2026-11-18T11:05:40Z",
            "start_user": "bob",
            "deleted": True,
            "ports": ["80", "443"],
        },
        {"pid": 8, "exe": None, "started": "2026-11-18T11:05:40Z", "start_user": "eve", "deleted": False},
    ]
    assert result.coverage.complete
    assert result.found


def test_columns_together_mean_all_of_them() -> None:
    assert pids(start_user=["^root$"]) == [1, 2]
    assert pids(start_user=["^root$"], pid=["<2"]) == [1]
    assert pids(started=["<1h"], deleted=True) == [7]
    assert pids(deleted=False) == [1, 2, 8]
    assert pids(ports=["^443$"]) == [7]


def test_nothing_that_fits_is_a_complete_nothing_found() -> None:
    result = asked(module_with(ROWS), pid=["99"])

    assert not result.found
    assert result.coverage.complete
    assert result.elements == {"rows": []}


def test_a_row_that_cannot_be_judged_is_booked() -> None:
    result = asked(module_with(ROWS), exe=["^/tmp"])

    assert [row["pid"] for row in module_with([]).rows(result)] == [7]
    assert not result.coverage.complete
    (skipped,) = result.coverage.skipped
    assert (skipped.reason, skipped.count) == ("row whose exe is not known", 1)
    assert skipped.examples[0].startswith("pid=8 ")


def test_a_row_that_another_filter_rules_out_needs_no_judgement() -> None:
    result = asked(module_with(ROWS), exe=["^/tmp"], start_user=["^bob$"])

    assert result.coverage.complete


def test_no_more_rows_than_the_limit_are_answered_and_it_is_booked() -> None:
    limited, enough = asked(module_with(ROWS), limit=3), asked(module_with(ROWS), limit=4)

    assert len(limited.elements["rows"]) == 3  # type: ignore[index,arg-type,call-overload]  # any JSON
    assert [one.reason for one in limited.coverage.skipped] == ["more rows than the limit"]
    assert not limited.coverage.complete
    assert enough.coverage.complete


def test_after_the_deadline_it_stops_and_says_so() -> None:
    result = asked(module_with(ROWS), seconds=-1)

    assert not result.coverage.complete
    assert "time ran out" in [one.reason for one in result.coverage.skipped]


def test_what_was_found_before_a_fault_is_kept() -> None:
    result = asked(module_with([*ROWS[:2], {"broken": True}]))

    assert (result.found, result.success, result.coverage.complete) == (True, False, False)
    assert result.errors == ("things: OSError: cannot go on",)


def test_what_the_module_skipped_is_in_the_answer() -> None:
    result = asked(module_with([{"pid": 9, "denied": True}]))

    assert not result.coverage.complete
    assert result.errors == ("/proc/9: not yours",)


def test_a_column_that_costs_extra_is_looked_for_on_request_only() -> None:
    plain, requested, filtered = (module_with(ROWS) for _ in range(3))

    asked(plain)
    asked(requested, pid=["1"], **WITH_HASH)
    found = asked(filtered, sha256=["AB" * 32], pid=["7"])

    assert plain.hashed == []
    assert requested.hashed == [1]
    assert filtered.hashed == [7]
    assert found.found


def test_of_chosen_columns_only_those_and_the_filters_are_looked_for_and_answered() -> None:
    module = module_with(ROWS)

    result = asked(module, column=["exe"], start_user=["bob"])

    assert list(module.rows(result)) == [{"pid": 7, "exe": "/tmp/x y", "start_user": "bob"}]
    assert module.seen is not None
    assert [name for name in ("pid", "exe", "started", "start_user", "sha256") if module.seen.wants(name)] == [
        *("pid", "exe", "start_user"),
    ]


def test_a_column_that_costs_extra_may_be_chosen() -> None:
    module = module_with(ROWS)

    asked(module, column=["sha256"])

    assert module.hashed == [1, 2, 7, 8]


def test_a_column_that_there_is_not_cannot_be_chosen() -> None:
    with pytest.raises(ParameterError, match=r"column\[0\]: must be one of pid, exe"):
        Things().parse_parameters({"column": ["nothing"]})


def test_single_values_are_told_to_the_module() -> None:
    module = module_with(ROWS)

    asked(module, pid=["1", "7"], start_user=["x"])

    assert module.seen is not None
    assert module.seen.only("pid") == frozenset({1, 7})
    assert module.seen.only("start_user") is None
    assert module.seen.filters("start_user")
    assert not module.seen.filters("exe")


def test_a_column_that_was_not_declared_is_the_authors_fault() -> None:
    result = asked(module_with([{"pid": 1, "exee": "/x"}]))

    assert not result.success
    assert "there is no column exee" in result.errors[0]


def test_the_authors_own_parameters_are_read_from_the_context() -> None:
    module = module_with(ROWS)

    asked(module, namespaces=True)

    assert module.seen is not None
    assert module.seen.values.boolean("namespaces")


def test_parameters_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ParameterError, match="namespaces"):
        module_with([]).parse_parameters({"namespaces": True, "pid": ["1"]})


def test_a_filter_that_is_none_names_its_place() -> None:
    with pytest.raises(ParameterError, match=r"pid\[1\]: 'x' is not a number like 22"):
        module_with([]).parse_parameters({"pid": ["1", "x"]})


def test_partial_answers_are_never_complete() -> None:
    module = module_with(ROWS)
    partial: list[ModuleResult] = []

    module.run(module.parse_parameters({}), Context(deadline=time.monotonic() + 5, on_partial=partial.append))

    assert partial
    assert partial[0].found
    assert not any(one.coverage.complete for one in partial)


def test_lines_name_the_columns_and_what_is_not_known() -> None:
    module = module_with(ROWS[2:])
    result = asked(module)

    lines = list(module.lines(result, found_only=True))

    assert lines == [
        'pid=7 exe="/tmp/x y" started=2026-11-18T11:05:40Z start_user=bob deleted=true ports=80,443',
        "pid=8 exe=? started=2026-11-18T11:05:40Z start_user=eve",
    ]


def test_a_long_value_is_cut_and_booked() -> None:
    result = asked(module_with([{"pid": 1, "start_user": "x" * 70_000}]), start_user=["x$"])

    (row,) = module_with([]).rows(result)
    assert len(str(row["start_user"])) == 65_536
    assert not result.coverage.complete


@pytest.mark.parametrize("fails", [False, True])
def test_rows_that_the_full_answer_has_no_room_for_are_left_out_and_booked(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_core.plugin.table.MAX_ANSWER_BYTES", 1000)
    many: list[dict[str, Any]] = [{"pid": number, "exe": f"/{'x' * 88}"} for number in range(40 if not fails else 20)]

    result = asked(module_with([*many, {"pid": 99, "broken": fails}]))

    rows = list(Things().rows(result))
    assert [row["pid"] for row in rows] == list(range(len(rows)))
    assert 7 <= len(rows) <= 9
    assert "row that the full answer has no room for" in [one.reason for one in result.coverage.skipped]
    assert not result.coverage.complete


def test_masked_columns_are_hidden_and_texts_that_may_repeat_them() -> None:
    module = module_with([*ROWS, {"pid": 9, "denied": True}])

    masked = module.mask(asked(module))

    rows = list(module.rows(masked))
    assert [row.get("exe", "none") for row in rows] == ["masked", "none", "masked", None]
    assert rows[0]["memory"] is None
    assert masked.errors == ("masked",)
    assert not any(one.examples for one in masked.coverage.skipped)


def test_an_option_that_a_filter_has_is_refused_at_import() -> None:
    with pytest.raises(PluginError, match="declared twice: pid"):
        type("Twice", (Things,), {"options": (Parameter(name="pid", key="pid", help="Twice"),)})


def test_an_option_that_mig_has_is_refused_at_import() -> None:
    with pytest.raises(PluginError, match="mig itself has: target"):
        type("Taken", (Things,), {"columns": (Column("target", ColumnKind.TEXT, "where"),)})


def test_every_option_of_mig_itself_is_reserved() -> None:
    spellings = {word.lstrip("-") for *_, words in ask_options.SPELLINGS for word in words}

    assert spellings | {"help"} <= RESERVED


_CELLS: dict[str, st.SearchStrategy[Any]] = {
    "exe": st.none() | st.sampled_from(["", "/bin/é", "/\udcff", "x" * 20_000, "\udcff" * 17_000]),
    "started": st.none() | st.floats(0, 4e9) | st.integers(0, 1 << 40),
    "start_user": st.none() | st.text(max_size=5),
    "deleted": st.none() | st.booleans(),
    "ports": st.none() | st.lists(st.text(max_size=3), max_size=3) | st.just(("a", "\udc80")),
    "memory": st.none() | st.integers(0),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({"pid": st.integers()}, optional=_CELLS), max_size=40), st.booleans())
def test_rows_are_what_the_maker_of_each_column_makes(given_rows: list[dict[str, Any]], is_filtered: bool) -> None:
    columns = {one.name: one for one in Things.columns}
    question: dict[str, Any] = {"start_user": ["!^nobody$"]} if is_filtered else {}

    result = asked(module_with(given_rows), **question)

    expected: list[JSON] = []
    for cells in given_rows:
        row: Row = {}
        for name in columns:
            if name in cells:
                CellMaker(columns[name]).put(cells[name], row)
        if not is_filtered or row.get("start_user", "") is not None:
            expected.append({name: cell[:65_536] if isinstance(cell, str) else cell for name, cell in row.items()})
    found: Any = result.elements
    assert found["rows"] == expected
    assert all(list(row) == [name for name in columns if name in row] for row in found["rows"])


def test_rows_that_are_written_are_a_list_like_any_other() -> None:
    writer = RowWriter(1 << 20)
    rows: list[Row] = [{"pid": number, "exe": "é"} for number in range(70)]

    assert all(writer.add(row) for row in rows)
    before = writer.rows()
    assert writer.write()

    found = writer.rows()
    assert (len(before), len(found), writer.count) == (64, 70, 70)
    assert found == rows
    assert found[-1] == rows[-1]
    assert rows[3] in found
    assert json.loads(dump({"rows": found})) == {"rows": rows}
    assert dump(WrittenRows((), 0)) == b"[]"


def test_a_number_that_json_does_not_have_is_its_authors_fault() -> None:
    row: Row = {}

    with pytest.raises(TypeError, match="column it is of kind duration"):
        CellMaker(Column("it", ColumnKind.DURATION, "it")).put(math.nan, row)
