"""What a question to a table asks: filters on columns, columns that cost extra, how many rows.

:func:`filter_parameters` declares it, :class:`Selection` works it. Used by :mod:`mig_core.plugin.table`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from mig_core.plugin.cells import AS_THEY_ARE, MAX_TEXT, Cell, CellMaker, clean
from mig_core.plugin.columns import ColumnKind
from mig_core.plugin.conditions import EXPLAINED, METAVARS, ColumnFilter, FlagFilter, check_condition
from mig_core.plugin.coverage import Reason
from mig_core.plugin.parameters import Kind, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.columns import Column, Row
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.parameters import Values

    Plan = list[tuple[str, type | None, CellMaker, bool]]

LIMIT = "limit"
WITH = "with"
"""The option that asks for columns which cost extra."""
COLUMN = "column"
"""The option that asks for some columns instead of all."""
_SURELY_SHORT = MAX_TEXT >> 2
"""A text that is not longer is short enough as a cell, whatever becomes of its bytes (``\\xff``)."""
_PLANS = 256
_NEVER_LONG = frozenset((int, float, bool, datetime, type(None)))
CUT = Reason(f"value longer than {MAX_TEXT} characters, cut")


def filter_parameters(columns: Iterable[Column]) -> Iterator[Parameter]:
    """The declared parameters of a table's questions: a filter for each column, ``column``, ``limit``, ``with``."""
    declared = tuple(columns)
    for column in declared:
        if column.kind is ColumnKind.BOOLEAN:
            yield Parameter(
                name=word_of(column), key=column.name, kind=Kind.BOOLEAN, help=f"{column.help}: only these rows"
            )
        else:
            yield Parameter(
                name=word_of(column),
                key=column.name,
                many=True,
                metavar=METAVARS[column.kind],
                help=f"{column.help}: {EXPLAINED[column.kind]}; a leading ! inverts it",
                check=_check(column.kind),
            )
    requested = tuple(column.name for column in declared if column.on_request)
    if requested:
        yield Parameter(
            name=WITH,
            key=WITH,
            many=True,
            choices=requested,
            metavar="COLUMN",
            help=f"columns that cost extra, to be looked for too: {', '.join(requested)}",
        )
    yield Parameter(
        name=LIMIT,
        key=LIMIT,
        kind=Kind.INTEGER,
        minimum=0,
        maximum=1 << 53,
        metavar="N",
        help="how many rows to return at most; 0 is all",
    )
    yield Parameter(
        name=COLUMN,
        key=COLUMN,
        many=True,
        choices=tuple(column.name for column in declared),
        metavar="COLUMN",
        help="answer this column instead of all (repeatable): what the others cost is saved",
    )


def word_of(column: Column) -> str:
    """The option of a column's filter."""
    return column.option or column.name.replace("_", "-")


def wanted_columns(columns: Iterable[Column], values: Values) -> frozenset[str]:
    """The columns that rows of an answer can have, by what was asked; that of a filter is one of them."""
    declared = tuple(columns)
    requested = values.texts(WITH) if any(one.on_request for one in declared) else ()
    chosen = values.texts(COLUMN)
    usual = (one.name for one in declared if (one.always if chosen else not one.on_request))
    filtered = (one.name for one in declared if values.given(word_of(one)))
    return frozenset((*usual, *chosen, *requested, *filtered))


class Selection:
    """Says of rows whether they were asked for.

    Args:
        columns: of the table.
        values: what was asked, by the parameters of :func:`filter_parameters`.
        tally: books rows that could not be judged.
        now: seconds since 1970 that ages are counted from.
    """

    def __init__(self, columns: Iterable[Column], values: Values, tally: Tally, *, now: float) -> None:
        self._columns = {one.name: one for one in columns}
        self._makers = {name: CellMaker(column) for name, column in self._columns.items()}
        self._tally = tally
        self._filters: dict[str, ColumnFilter | FlagFilter] = {}
        for column in self._columns.values():
            word = word_of(column)
            if not values.given(word):
                continue
            if column.kind is ColumnKind.BOOLEAN:
                self._filters[column.name] = FlagFilter(column, wanted=values.boolean(word))
            elif texts := values.texts(word):
                self._filters[column.name] = ColumnFilter(column, texts, now=now)
        self._wanted = wanted_columns(self._columns.values(), values) | self._filters.keys()
        self._plan: Plan = [
            (name, AS_THEY_ARE.get(column.kind), self._makers[name], name in self._filters)
            for name, column in self._columns.items()
            if name in self._wanted
        ]
        """Of the columns of a row, in their order: name, class whose values are cells as they are, maker, filter."""
        self._plans: dict[tuple[str, ...], Plan] = {}
        """The same of those that a row has, by the names of its cells: of most modules all rows have the same few."""

    def wants(self, column: str) -> bool:
        """Whether a column belongs into the rows.

        True of all but those that cost extra and were not asked for; where columns were chosen, of these, those of
        filters, and those that each row has.
        """
        return self._column(column).name in self._wanted

    def filters(self, column: str) -> bool:
        """Whether rows are chosen by this column."""
        return self._column(column).name in self._filters

    def only(self, column: str) -> frozenset[Any] | None:
        """The values of which each row must have one, when single ones were asked for (``--pid 1 --pid 7``).

        They are numbers, or hashes; None when any value may do.
        """
        chosen = self._filters.get(self._column(column).name)
        return chosen.only if chosen is not None else None

    def rules_out(self, cells: Mapping[str, Cell]) -> bool:
        """Whether a row with these cells, and whatever others, is certainly not asked for."""
        self._check_names(cells)
        if not self._filters:
            return False
        row: Row = {}
        for name, value in cells.items():
            if name in self._filters:
                self._makers[name].put(value, row)
        return any(
            self._filters[name].holds(row.get(name), present=name in row) is False
            for name in cells
            if name in self._filters
        )

    def row(self, cells: Mapping[str, Cell]) -> Row | None:
        """The row as it is answered, or None when it was not asked for, or cannot be judged, which is booked.

        Raises:
            TypeError: there is no such column, or a cell is not of its kind.
        """
        plan = self._plans.get(tuple(cells)) or self._plan_for(cells)
        judged: Row = {}
        unknown = ""
        for name, chosen in self._filters.items():  # first of all: most rows are not asked for
            if name in cells:
                self._makers[name].put(cells[name], judged)
            holds = chosen.holds(judged.get(name), present=name in judged)
            if holds is False:
                return None
            if holds is None:
                unknown = unknown or name
        row, is_long = self._made(plan, cells, judged)
        if unknown:
            self._tally.skip(Reason(f"row whose {unknown} is not known"), self._example(row))
            return None
        return {name: self._cut(value) for name, value in row.items()} if is_long else row

    def _plan_for(self, cells: Mapping[str, Cell]) -> Plan:
        self._check_names(cells)
        plan = [one for one in self._plan if one[0] in cells]
        if len(self._plans) < _PLANS:
            self._plans[tuple(cells)] = plan
        return plan

    @staticmethod
    def _made(plan: Plan, cells: Mapping[str, Cell], judged: Row) -> tuple[Row, bool]:
        """The wanted cells in the order of the columns, and whether any of them is too long.

        :meth:`CellMaker.put` written out for most cells: nothing else is done as often in an answer of many rows.

        Args:
            plan: for the columns that are wanted and there.
            cells: all that there are.
            judged: what has been made of those with a filter.
        """
        row: Row = {}
        is_long = False
        for name, plain, maker, is_judged in plan:
            value: Any = cells[name]
            kind: Any = value.__class__
            if is_judged:
                if name in judged:
                    row[name] = judged[name]
                    is_long = is_long or _is_long(judged[name])
            elif kind is not plain:
                maker.put(value, row)
                if kind not in _NEVER_LONG:
                    is_long = is_long or _is_long(row.get(name))
            elif plain is not str:
                row[name] = value
            elif value:
                row[name] = value if value.isascii() else clean(value)
                if len(value) > _SURELY_SHORT:
                    is_long = is_long or _is_long(row[name])
        return row, is_long

    def _check_names(self, cells: Mapping[str, Cell]) -> None:
        if not cells.keys() <= self._columns.keys():
            self._column(next(name for name in cells if name not in self._columns))

    def _column(self, name: str) -> Column:
        """The column of that name: a misspelt one must not count as one that nobody asked for."""
        try:
            return self._columns[name]
        except KeyError:
            raise TypeError(f"there is no column {name}; the columns are {', '.join(self._columns)}") from None

    def _cut(self, value: JSON) -> JSON:
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                self._tally.skip(CUT, value[:80])
                return value[:MAX_TEXT]
        elif isinstance(value, list) and sum(len(one) for one in value if isinstance(one, str)) > MAX_TEXT:
            self._tally.skip(CUT, str(value[0])[:80])
            return _as_many_as_fit(value)
        return value

    def _example(self, row: Row) -> str:
        """What names a row best: its first cells."""
        shown = ((name, row.get(name)) for name in self._columns)
        return " ".join(f"{name}={value}" for name, value in shown if value is not None)[:120]


def _is_long(value: JSON) -> bool:
    if isinstance(value, str):
        return len(value) > MAX_TEXT
    return isinstance(value, list) and sum(map(len, cast("list[str]", value))) > MAX_TEXT


def _as_many_as_fit(value: list[JSON]) -> list[JSON]:
    kept: list[JSON] = []
    room = MAX_TEXT
    for one in value:
        room -= len(str(one))
        if room < 0:
            break
        kept.append(one)
    return kept


def _check(kind: ColumnKind) -> Any:
    return lambda text: check_condition(kind, text)
