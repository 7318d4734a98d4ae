"""Rows as a Parquet file, where pyarrow is installed. It is no dependency of MIG: data people have it already."""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any

from mig_core.domain.column_kind import ColumnKind
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

ROWS_AT_ONCE = 50_000
_LARGEST = (1 << 63) - 1
_COUNTS = ("endpoints", "answered", "rows")


def write_parquet(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], kinds: Mapping[str, ColumnKind] | None = None
) -> int:
    """Writes rows, some at a time; returns how many. A value that is not there and one that is not known are both null.

    Args:
        kinds: of columns that are not texts.

    Raises:
        MigError: pyarrow is not installed.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MigError("--parquet needs pyarrow", next_step="pip install pyarrow; or --csv") from None
    types = {
        ColumnKind.INTEGER: pyarrow.int64(),
        ColumnKind.SIZE: pyarrow.int64(),
        ColumnKind.DURATION: pyarrow.float64(),
        ColumnKind.BOOLEAN: pyarrow.bool_(),
        ColumnKind.LIST: pyarrow.list_(pyarrow.string()),
    }

    def type_of(name: str) -> Any:
        if kinds is None and name in _COUNTS:
            return pyarrow.int64()
        if kinds is None and name == "share":
            return pyarrow.float64()
        return types.get((kinds or {}).get(name, ColumnKind.TEXT), pyarrow.string())

    schema = pyarrow.schema([(name, type_of(name)) for name in columns])
    texts = {name for name in columns if schema.field(name).type == pyarrow.string()}
    count = 0
    with parquet.ParquetWriter(str(path), schema) as writer:
        for batch in _batches(rows):
            count += len(batch)
            lists = {name: [_value(row.get(name), text=name in texts) for row in batch] for name in columns}
            writer.write_table(pyarrow.table(lists, schema=schema))
    return count


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(rows)
    while batch := list(itertools.islice(left, ROWS_AT_ONCE)):
        yield batch


def _value(value: Any, *, text: bool) -> Any:
    """A number beyond 64 bits counts as not known; there is no honest one for it in such a column."""
    if text:
        return None if value is None else value if isinstance(value, str) else str(value)
    return None if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST else value
