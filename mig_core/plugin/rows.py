"""Rows out of a result's elements, by what its module's columns declare. Total: elements come from endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mig_core.plugin.cells import read_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.columns import Column, Row


def rows_of(columns: Iterable[Column], rows_at: str, elements: JSON) -> Iterator[Row]:
    """The rows that lie in a result's elements. Total: what does not have the declared shape gives no row.

    Args:
        columns: what a row has; a cell that is not of the column's kind counts as not known.
        rows_at: where the rows lie. Names of members in one another, with dots between them; ``*`` is every member;
            ``[]`` behind one, every entry of its list: ``"packages[]"``, ``"*[]"``. Empty: the elements are one row.
        elements: of a result; they may come from a hostile endpoint.
    """
    declared = tuple(columns)
    for entry, keys in _entries(elements, tuple(rows_at.split(".")) if rows_at else (), ()):
        if not isinstance(entry, dict):
            continue
        row: Row = {}
        for column in declared:
            found, value = _value(entry, keys, column.at or column.name)
            if found:
                read_cell(column, value, row)
        if row and all(row.get(column.name) not in (None, "") for column in declared if column.always):
            yield row


def _entries(value: JSON, steps: tuple[str, ...], keys: tuple[str, ...]) -> Iterator[tuple[JSON, tuple[str, ...]]]:
    """What lies at the steps, with the keys that each ``*`` stood for."""
    if not steps:
        yield value, keys
        return
    if not isinstance(value, dict):
        return
    name, rest = steps[0], steps[1:]
    each = name.endswith("[]")
    name = name.removesuffix("[]")
    for key in value if name == "*" else (name,):
        inner = value.get(key)
        passed = (*keys, key) if name == "*" else keys
        if not each:
            yield from _entries(inner, rest, passed)
        elif isinstance(inner, list):
            for entry in inner:
                yield from _entries(entry, rest, passed)


def _value(entry: Mapping[str, JSON], keys: tuple[str, ...], at: str) -> tuple[bool, JSON]:
    """Whether there is something at the place, and what."""
    if at.startswith("@"):
        return True, keys[int(at[1:]) - 1]
    value: JSON = cast("JSON", entry)
    for name in at.split("."):
        if not isinstance(value, dict) or name not in value:
            return False, None
        value = value[name]
    return True, value
