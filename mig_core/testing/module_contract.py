"""What every module must keep. A plugin's test file subclasses it::

    from mig_core.testing.module_contract import ModuleContract

    class TestPortContract(ModuleContract):
        module = Port()
        good_parameters = {"port": 22}

and pytest runs everything below against it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.domain.document import dump, members
from mig_core.domain.result import ModuleResult, read_module_result
from mig_core.errors import ParameterError
from mig_core.plugin.cells import read_cell
from mig_core.plugin.module import API_VERSION, Context, Module
from mig_core.plugin.parameters import RESERVED
from mig_core.plugin.table import TableModule

if TYPE_CHECKING:
    from mig_core.plugin.columns import Row

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=15,
)


class ModuleContract:
    """Subclass it, set ``module`` and ``good_parameters``."""

    module: ClassVar[Module[Any]]
    good_parameters: ClassVar[Any]
    """Parameters whose run ends within a few seconds on any machine."""

    def test_its_info_is_complete(self) -> None:
        info = self.module.info

        assert info.name.isidentifier()
        assert info.name == info.name.lower()
        assert len(info.name) <= 32
        assert info.summary
        assert not info.summary.endswith(".")
        assert info.api == API_VERSION

    def test_every_parameter_is_declared_once_and_explained(self) -> None:
        declared = self.module.parameters
        words = [one.name for one in declared.members] + [one.name for one in declared.switches]

        assert len(words) == len(set(words))
        assert all(one.help for one in declared.members)
        assert all(one.help for one in declared.switches)

    def test_no_parameter_is_called_as_an_option_of_mig_itself(self) -> None:
        declared = self.module.parameters
        words = {one.name for one in declared.members if one.cli} | {one.name for one in declared.switches}

        assert not words & RESERVED

    def test_every_column_is_declared_once_and_explained(self) -> None:
        names = [one.name for one in self.module.columns]

        assert len(names) == len(set(names))
        assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
        assert all(one.help and not one.help.endswith(".") for one in self.module.columns)

    def test_good_parameters_are_accepted_and_parsing_them_is_pure(self) -> None:
        first = self.module.parse_parameters(self.good_parameters)
        second = self.module.parse_parameters(json.loads(json.dumps(self.good_parameters)))

        assert first == second

    def test_an_unknown_key_is_refused_unless_lenient(self) -> None:
        raw = {**self.good_parameters, "no_such_key": 1}

        try:
            self.module.parse_parameters(raw)
        except ParameterError as error:
            assert "no_such_key" in str(error)
        else:
            raise AssertionError("an unknown key was accepted")
        self.module.parse_parameters(raw, strict=False)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
    )
    @given(raw=JSON_VALUES)
    def test_parsing_any_json_gives_parameters_or_a_parameter_error(self, raw: Any) -> None:
        with contextlib.suppress(ParameterError):
            self.module.parse_parameters(raw)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
    )
    @given(data=st.data())
    def test_parsing_near_misses_gives_parameters_or_a_parameter_error(self, data: st.DataObject) -> None:
        raw = data.draw(near_misses(self.module))

        with contextlib.suppress(ParameterError):
            self.module.parse_parameters(raw)

    def test_a_run_gives_a_result_that_travels_and_prints_nothing(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        printed = io.StringIO()

        with contextlib.redirect_stdout(printed):
            result = self.module.run(parameters, Context(deadline=time.monotonic() + 30))

        assert printed.getvalue() == ""
        assert isinstance(result, ModuleResult)
        document = json.loads(dump(result.to_json()))
        assert read_module_result(members(document, subject="result")).to_json() == document

    def test_a_run_past_its_deadline_returns_soon_and_says_it_is_not_complete(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        started = time.monotonic()

        result = self.module.run(parameters, Context(deadline=started - 1))

        assert time.monotonic() - started < 5
        assert result.found or not result.coverage.complete

    def test_its_lines_are_text_without_line_breaks(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        result = self.module.run(parameters, Context(deadline=time.monotonic() + 30))

        for found_only in (True, False):
            assert all("\n" not in line for line in self.module.lines(result, found_only=found_only))

    def test_its_rows_have_the_declared_columns_with_cells_of_their_kinds(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        result = self.module.run(parameters, Context(deadline=time.monotonic() + 30))
        columns = {one.name: one for one in self.module.columns}

        rows = list(self.module.rows(result))

        for row in rows:
            assert set(row) <= set(columns)
            assert {one.name for one in columns.values() if one.always} <= set(row)
            for name, cell in row.items():
                read: Row = {}
                read_cell(columns[name], cell, read)
                assert read == {name: cell}
        if isinstance(self.module, TableModule) and isinstance(result.elements, dict) and "rows" in result.elements:
            assert rows == result.elements["rows"]

    @settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
    )
    @given(data=st.data())
    def test_rows_of_any_elements_are_rows(self, data: st.DataObject) -> None:
        elements = data.draw(elements_like(self.module))

        rows = list(self.module.rows(ModuleResult(True, True, elements)))

        names = {one.name for one in self.module.columns}
        assert all(set(row) <= names for row in rows)

    def test_masking_hides_the_cells_of_masked_columns(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        result = self.module.run(parameters, Context(deadline=time.monotonic() + 30))

        masked = self.module.mask(result)

        secret = [column.name for column in self.module.columns if column.masked]
        for shown, hidden in zip(self.module.rows(result), self.module.rows(masked), strict=True):
            for name in secret:
                assert hidden.get(name) is None or hidden[name] != shown.get(name), name

    def test_masking_keeps_the_verdict(self) -> None:
        parameters = self.module.parse_parameters(self.good_parameters)
        result = self.module.run(parameters, Context(deadline=time.monotonic() + 30))

        masked = self.module.mask(result)

        assert (masked.found, masked.success) == (result.found, result.success)

    def test_importing_it_is_cheap(self) -> None:
        name = inspect.getmodule(type(self.module)).__name__  # type: ignore[union-attr]  # a class always has a module
        heavy = sorted(
            {*self.module.info.preload, "re2", "psutil", "pyroute2", "falcon", "typer", "psycopg"} - {"json", "hashlib"}
        )
        code = f"import sys, {name}; print([m for m in {heavy!r} if m in sys.modules])"

        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout

        assert printed.strip() == "[]", f"importing {name} imports {printed.strip()}; do that inside run"


def elements_like(module: Module[Any]) -> st.SearchStrategy[Any]:
    """Elements that have rows where the module's lie, of any values: what a hostile endpoint may send."""
    cells: dict[str, st.SearchStrategy[Any]] = {}
    for column in module.columns:
        first, _, rest = (column.at or column.name).partition(".")
        cells[first] = JSON_VALUES | st.fixed_dictionaries({rest: JSON_VALUES}) if rest else JSON_VALUES
    rows: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional=cells) | JSON_VALUES
    for step in reversed(module.rows_at.split(".") if module.rows_at else []):
        inner = st.lists(rows, max_size=3) if step.endswith("[]") else rows
        name = step.removesuffix("[]")
        if name == "*":
            rows = st.dictionaries(st.text(max_size=5), inner, max_size=3)
        else:
            rows = st.fixed_dictionaries({name: inner})
    return rows | JSON_VALUES


def near_misses(module: Module[Any]) -> st.SearchStrategy[Any]:
    """Parameters with the right keys and any values: closer to trouble than any JSON."""
    values = (
        JSON_VALUES
        | st.lists(st.text(max_size=20), max_size=3)
        | st.sampled_from(["", "!", "<", "<1", "(", "a{2}{3}", "9" * 400])
    )
    grouped: dict[str, st.SearchStrategy[Any]] = {}
    nested: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for one in module.parameters.members:
        (nested.setdefault(one.group, {}) if one.group else grouped)[one.key] = values
    for group, inner in nested.items():
        grouped[group] = st.fixed_dictionaries({}, optional=inner)
    one_object = st.fixed_dictionaries({}, optional=grouped)
    label = module.parameters.label
    if not label:
        return one_object
    return st.fixed_dictionaries({label: st.dictionaries(st.text(max_size=5), one_object, max_size=2)})
