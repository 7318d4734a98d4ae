'''A module whose whole answer is rows: the author declares columns and writes one generator. A whole plugin::

    """Says which accounts this endpoint has."""

    from mig_core.plugin.columns import Column, ColumnKind
    from mig_core.plugin.coverage import Reason
    from mig_core.plugin.module import ModuleInfo
    from mig_core.plugin.table import TableModule

    UNREADABLE = Reason("file that cannot be read")


    class Accounts(TableModule):
        info = ModuleInfo(name="accounts", summary="which accounts there are", discloses="names and shells of accounts")
        columns = (
            Column("user", ColumnKind.TEXT, "name of the account", always=True),
            Column("uid", ColumnKind.INTEGER, "number of the account"),
            Column("home", ColumnKind.PATH, "home directory", masked=True),
            Column("shell", ColumnKind.PATH, "program that runs at a login"),
        )

        def look(self, context, tally):
            try:
                with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as file:
                    lines = file.read().splitlines()
            except OSError as error:
                tally.failed(UNREADABLE, "/etc/passwd", str(error))
                return
            for line in lines:
                tally.examined("accounts")
                user, _, uid, _, _, home, shell = line.split(":")
                yield {"user": user, "uid": int(uid), "home": home, "shell": shell}

and in the plugin's ``pyproject.toml``::

    [project.entry-points."mig.modules"]
    accounts = "mig_accounts:Accounts"

From that come ``mig accounts --uid 0 --shell '!/(nologin|false)$'`` with a filter for each column
(:mod:`mig_core.plugin.conditions` says how they are written), ``--column``, ``--limit``, help, the JSON schema of its
parameters and of its rows, lines, CSV with a header, masking, and partial answers every two seconds.

What ``look`` keeps to:

* A row is a mapping, column name -> value. A column without a value is left out or given as ``""``; a value that could
  not be found out is None. A filter on a column whose value is not known cannot be answered: the row is left out, and
  booked. :class:`mig_core.plugin.cells.CellMaker` says which Python values a kind takes.
* Whoever skips, books: what could not be looked at goes to ``tally``. The limit, the deadline and a full answer book
  themselves.
* A row may be left out before it is complete: ``if context.rules_out(pid=pid, exe=exe): continue`` saves what the rest
  of it costs. ``context.only("pid")`` gives the ids that were asked for, if only single ones were.
* A column declared with ``on_request=True`` is looked for when ``context.wants("sha256")``: that is when it is filtered
  by, or asked for with ``--with sha256``. Of any other that costs something it can be asked as well: it is not wanted
  where ``--column`` chose others.
* A generator that works long without yielding asks ``context.expired()`` itself and returns.

The author's own parameters are declared as ``options`` and read from ``context.values``.

Elements: ``{"rows": [{"user": "root", "uid": 0}], "columns": [{"name": "user", "kind": "text"}]}``; without rows
``{"rows": []}``. Rows are objects and not arrays: they read well, and PostgreSQL stores both in the same space and
stacks a column of a million rows in a third of a second from either.
'''

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.errors import PluginError
from mig_core.plugin.columns import ColumnKind, head
from mig_core.plugin.coverage import Reason, Tally
from mig_core.plugin.module import Context, Module
from mig_core.plugin.parameters import RESERVED, Parameters, Switch, Values
from mig_core.plugin.printing import coverage_lines, duration_text, mapping, printable, row_text
from mig_core.plugin.selection import LIMIT, Selection, filter_parameters, wanted_columns
from mig_core.plugin.written_rows import RowWriter
from mig_core.records import dataclass, defaults, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Column, Row
    from mig_core.plugin.parameters import Parameter

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""
PARTIAL_INTERVAL = 2.0
"""Seconds between partial results, at least."""
PARTIAL_SHARE = 20
"""And at least this many times what making the last one took: large ones must not eat the run."""

OVER_LIMIT = Reason("more rows than the limit")
FULL = Reason("row that the full answer has no room for")
TIME_UP = Reason("time ran out")
BROKEN = Reason("module that broke off")
MASKED = "masked"


@dataclass(slots=True, kw_only=True)
class TableContext(Context):
    """What :meth:`TableModule.look` may know and use, besides what every run may."""

    values: Values
    """The parameters, the author's own among them."""
    selection: Selection

    def rules_out(self, **cells: Cell) -> bool:
        """Whether a row with these cells, and whatever others, is certainly not asked for."""
        return self.selection.rules_out(cells)

    def wants(self, column: str) -> bool:
        """Whether a column belongs into the rows: see :meth:`Selection.wants`."""
        return self.selection.wants(column)

    def filters(self, column: str) -> bool:
        """Whether rows are chosen by this column."""
        return self.selection.filters(column)

    def only(self, column: str) -> frozenset[Any] | None:
        """The numbers or hashes of which each row must have one (``--pid 1 --pid 7``); None when any may do."""
        return self.selection.only(column)


class TableModule(Module[Values]):
    """A module whose whole answer is rows. The docstring of this file is its manual."""

    columns: ClassVar[tuple[Column, ...]]
    """In the order in which they are shown."""
    options: ClassVar[tuple[Parameter | Switch, ...]] = ()
    """The author's own parameters; none may be called as a filter is."""
    rows_at: ClassVar[str] = "rows[]"
    """Where the rows lie in the elements: a name and ``[]``. What replaces an older module keeps that one's name."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "columns" in cls.__dict__ or "options" in cls.__dict__:
            members = (*cls.options, *filter_parameters(cls.columns))
            words = [one.name for one in members]
            if twins := {word for word in words if words.count(word) > 1}:
                raise PluginError(cls.__name__, f"options that are declared twice: {', '.join(sorted(twins))}")
            if taken := RESERVED.intersection(words):
                raise PluginError(cls.__name__, f"options that mig itself has: {', '.join(sorted(taken))}")
            cls.parameters = Parameters(*members)

    def __init__(self, now: Callable[[], float] = time.time, *, partial_interval: float = PARTIAL_INTERVAL) -> None:
        """Takes what varies in tests.

        Args:
            now: seconds since 1970, which ages are counted from.
            partial_interval: seconds between partial results, at least.
        """
        self._now = now
        self._partial_interval = partial_interval

    @abstractmethod
    def look(self, context: TableContext, tally: Tally) -> Iterator[Mapping[str, Cell]]:
        """Yields a row for everything there is; what was not asked for is left out by the caller."""

    def check(self, values: Values) -> None:
        """Further checks of parameters that belong together. Pure.

        Raises:
            ParameterError: names the JSON path of the fault.
        """

    def answered_columns(self, raw: JSON) -> frozenset[str]:
        """The columns that rows of an answer can have when this was asked: of no other was anything looked at.

        Raises:
            ParameterError: this is no question to this module.
        """
        return wanted_columns(self.columns, self.parse_parameters(raw))

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        """The checked values of filters and options.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        values = self.parameters.parse(raw, strict=strict)
        self.check(values)
        return values

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        """Looks until everything was looked at, the limit or the deadline is reached, or the answer is full."""
        started = time.monotonic_ns()
        tally = Tally()
        selection = Selection(self.columns, parameters, tally, now=self._now())
        inherited = {name: getattr(context, name) for name in defaults(Context)}
        table = TableContext(**inherited, values=parameters, selection=selection)
        writer = RowWriter(MAX_ANSWER_BYTES)
        success = True
        try:
            self._collect(writer, table, tally, started)
        except Exception as error:  # whatever a module raises: what it had found until then is kept
            success = False
            tally.failed(BROKEN, self.info.name, f"{type(error).__name__}: {error}")
        return self._result(writer, tally, started, success=success)

    def _collect(self, writer: RowWriter, context: TableContext, tally: Tally, started: int) -> None:
        has_room = True
        try:
            has_room = self._fill(writer, context, tally, started)
        finally:
            if not (writer.write() and has_room):
                tally.skip(FULL)

    def _fill(self, writer: RowWriter, context: TableContext, tally: Tally, started: int) -> bool:
        """Takes in rows until there are no more; False when they have no room."""
        limit = context.values.integer(LIMIT)
        next_partial = time.monotonic() + self._partial_interval
        for cells in self.look(context, tally):
            row = context.selection.row(cells)
            if row is not None:
                if limit and writer.count == limit:
                    tally.skip(OVER_LIMIT)
                    return True
                if not writer.add(row):
                    return False
            if context.expired():
                break
            if context.on_partial is not None and (began := time.monotonic()) >= next_partial:
                if not writer.write():
                    return False
                context.partial(self._result(writer, tally, started, is_partial=True))
                took = time.monotonic() - began
                next_partial = time.monotonic() + max(self._partial_interval, PARTIAL_SHARE * took)
        if context.expired():
            tally.skip(TIME_UP)
        return True

    def _result(
        self, writer: RowWriter, tally: Tally, started: int, *, success: bool = True, is_partial: bool = False
    ) -> ModuleResult:
        coverage = tally.coverage()
        if is_partial:
            coverage = replace(coverage, complete=False)
        rows = writer.rows()
        elements: dict[str, JSON] = {self.rows_at.removesuffix("[]"): rows}
        if rows:
            elements["columns"] = head(self.columns)
        statistics: dict[str, JSON] = {
            "totalhits": len(rows),
            "exectime": duration_text(time.monotonic_ns() - started),
        }
        return ModuleResult(bool(rows), success, elements, statistics, tally.errors(), coverage)

    def line(self, row: Row) -> str:
        """A row as a line for a person; it may come from a hostile endpoint, of the declared columns and kinds alone.

        ``name=value`` for each column that has one; ``?`` is a value that is not known.
        """
        return row_text((one.name for one in self.columns), row)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each row, then errors, what was not looked at, and statistics."""
        for row in self.rows(result):
            yield printable(self.line(row))
        if found_only:
            return
        if not result.found:
            yield f"{self.info.name}: nothing found"
        for error in result.errors:
            yield printable(error)
        yield from coverage_lines(result.coverage)
        if statistics := mapping(result.statistics):
            yield printable(f"Statistics: {statistics.get('totalhits')} rows, ran in {statistics.get('exectime')}.")

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without the cells of masked columns, and without texts that may repeat them."""
        coverage = result.coverage
        return replace(
            result,
            elements=self._without_masked(result.elements),
            errors=tuple(MASKED for _ in result.errors),
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )

    def _without_masked(self, elements: JSON) -> JSON:
        name = self.rows_at.removesuffix("[]")
        if not isinstance(elements, dict) or not isinstance(rows := elements.get(name), list):
            return elements
        hidden = {one.name: _MASKED.get(one.kind, MASKED) for one in self.columns if one.masked}
        kept: list[JSON] = [
            {name: hidden.get(name, cell) if cell is not None else None for name, cell in row.items()}
            for row in rows
            if isinstance(row, dict)
        ]
        return {**elements, name: kept}


_MASKED: Mapping[ColumnKind, JSON] = dict.fromkeys(
    (ColumnKind.INTEGER, ColumnKind.SIZE, ColumnKind.TIME, ColumnKind.DURATION, ColumnKind.BOOLEAN), None
) | {ColumnKind.LIST: [MASKED]}
"""What stands for a cell that must not be disclosed, where a text would not be of the column's kind."""
