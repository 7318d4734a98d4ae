"""Rows as data frames, with pandas (``pip install 'mig-core[notebook]'``) or polars; imported when they are used.

A column of whole numbers stays one where cells are missing; times are in UTC. A frame has one kind of hole: cells
without a value and cells whose value is not known are both missing in it (:attr:`mig_core.client.answer.Answer.rows`
tells them apart). What became of the question goes along: pandas has it in ``attrs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.client.answer_rows import cell_name
from mig_core.client.notebook import imported
from mig_core.plugin.columns import ColumnKind

if TYPE_CHECKING:
    from mig_core.client.answer import Asked
    from mig_core.plugin.columns import Row

_NUMBERS = (ColumnKind.INTEGER, ColumnKind.SIZE)


def to_pandas(question: Asked) -> Any:
    """A pandas data frame with ``agent`` first, when the question has ended.

    ``attrs`` has ``action`` (the id), ``asked``, ``counts`` (agents by state) and ``not_looked_at`` (see
    :meth:`mig_core.client.question.Question.not_looked_at`): no rows of an agent means nothing unless it is counted as
    ``success`` there and is not among those.

    Raises:
        MigError: pandas is not installed.
    """
    pandas = imported("pandas")
    rows, missed = _rows(question)
    kinds = column_kinds(question, rows)
    frame = pandas.DataFrame(rows, columns=list(kinds))
    for name, kind in kinds.items():
        if kind in _NUMBERS:
            frame[name] = _whole_numbers(pandas, frame[name])
        elif kind is ColumnKind.DURATION:
            frame[name] = pandas.to_numeric(frame[name], errors="coerce").astype("Float64")
        elif kind is ColumnKind.BOOLEAN:
            frame[name] = frame[name].astype("boolean")
        elif kind is ColumnKind.TIME:
            frame[name] = pandas.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
    frame.attrs = {
        "action": question.id,
        "asked": question.asked,
        "counts": question.counts,
        "not_looked_at": missed,
    }
    return frame


def to_polars(question: Asked) -> Any:
    """A polars data frame with ``agent`` first, when the question has ended.

    Raises:
        MigError: polars is not installed.
    """
    polars = imported("polars")
    rows, _ = _rows(question)
    kinds = column_kinds(question, rows)
    types = {
        ColumnKind.BOOLEAN: polars.Boolean,
        ColumnKind.DURATION: polars.Float64,
        ColumnKind.LIST: polars.List(polars.String),
        **dict.fromkeys(_NUMBERS, polars.Int64),
    }
    schema = {name: types.get(kind, polars.String) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if kind in _NUMBERS and any(not _fits(row.get(name)) for row in rows):
            schema[name] = polars.Float64
    frame = polars.DataFrame(rows, schema=schema, strict=False)
    times = [name for name, kind in kinds.items() if kind is ColumnKind.TIME]
    return frame.with_columns(
        polars.col(name).str.to_datetime(time_zone="UTC", time_unit="us", strict=False) for name in times
    )


def column_kinds(question: Asked, rows: list[Row]) -> dict[str, ColumnKind]:
    """The columns of a frame: the answer's own, what the modules declare, and what rows have besides."""
    kinds = {"agent": ColumnKind.TEXT}
    if len(question.modules) > 1:
        kinds["module"] = ColumnKind.TEXT
    for module in dict.fromkeys(question.modules):
        for column in question.columns_of(module):
            kinds.setdefault(cell_name(module, column.name), column.kind)
    for row in rows:
        for name in row:
            kinds.setdefault(name, ColumnKind.TEXT)
    return kinds


def _rows(question: Asked) -> tuple[list[Row], dict[str, list[str]]]:
    """Rows, and who did not look at everything: in one pass over the answers."""
    rows: list[Row] = []
    missed: dict[str, list[str]] = {}
    for answer in question:
        rows += answer.rows
        if reasons := answer.shortcomings:
            missed[answer.agent] = reasons
    return rows, missed


def _whole_numbers(pandas: Any, series: Any) -> Any:
    if all(_fits(one) for one in series):
        return series.astype("Int64")
    return pandas.to_numeric(series, errors="coerce").astype("Float64")


def _fits(cell: object) -> bool:
    """Whether a cell is a whole number of 64 bits, or none: endpoints may send larger ones."""
    return not isinstance(cell, int) or -(1 << 63) <= cell < 1 << 63
