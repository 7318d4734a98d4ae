"""Columns: what the rows of a module's answers consist of, declared once.

From a module's columns come CSV with a header, printing, the schema of its rows in the API's OpenAPI document, and
whatever else works on rows: stacking, comparing, tables, data frames. A row is a JSON object, column name -> cell::

    {"pid": 812, "exe": "/usr/sbin/sshd", "user": null}

A column that is *missing* from a row has no value there (a kernel thread has no executable); ``null`` is a value that
is there and is *not known* (the executable could not be read). The two are never the same.

What a cell holds, by kind: ``integer``, ``size`` (bytes) and ``duration`` (seconds, perhaps with a fraction) a number;
``boolean`` true or false; ``list`` an array of texts; ``time`` a text as RFC 3339 has it, in UTC; all others a text.
Hashes are in lower case where they are hexadecimal.

Modules whose elements are not rows already (the original's ones) say where rows and cells lie in them: ``rows_at`` and
:attr:`Column.at`. It is declared and not programmed so that a database can follow it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.column_kind import ColumnKind as ColumnKind
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_core.domain.document import JSON

Row = dict[str, "JSON"]
"""Column name -> cell; a column without a value is missing, one that is not known is None."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    """Lower case letters, digits and ``_``. The option of a table's filter is the same with ``-`` for ``_``."""
    kind: ColumnKind
    help: str
    """What it holds, in a few words without a full stop."""
    unit: str = ""
    """Of a number, where the kind does not say it: ``"percent"``."""
    masked: bool = False
    """Whether it is left out of answers of agents with ``extra_privacy``."""
    on_request: bool = False
    """Whether it costs so much that a table looks for it only when it is asked for."""
    at: str = ""
    """Where its value lies in a row of the elements, when not under its name: ``"fileinfo.size"``. ``"@1"`` is the
    first key that a ``*`` of ``rows_at`` stood for, ``"@2"`` the second."""
    option: str = ""
    """The option of a table's filter, where another parameter has the column's name."""
    always: bool = False
    """Whether each row has it: an entry of the elements without it, or with an empty one, is no row."""


def row_schema(columns: Iterable[Column]) -> dict[str, JSON]:
    """JSON Schema (2020-12) of a row."""
    properties: dict[str, JSON] = {}
    required: list[JSON] = []
    for column in columns:
        schema = dict(_SCHEMAS.get(column.kind, _TEXT))
        schema["type"] = [schema["type"], "null"]
        schema["description"] = f"{column.help} ({column.unit})" if column.unit else column.help
        schema["x-mig-kind"] = column.kind.value
        if column.at:
            schema["x-mig-at"] = column.at
        properties[column.name] = schema
        if column.always:
            required.append(column.name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def head(columns: Iterable[Column]) -> list[JSON]:
    """Names and kinds, as an answer carries them beside its rows: it can be read where the module is not installed."""
    return [
        {"name": one.name, "kind": one.kind.value, "unit": one.unit}
        if one.unit
        else {"name": one.name, "kind": one.kind.value}
        for one in columns
    ]


_TEXT: Mapping[str, JSON] = {"type": "string"}
_SCHEMAS: Mapping[ColumnKind, Mapping[str, JSON]] = {
    ColumnKind.INTEGER: {"type": "integer"},
    ColumnKind.SIZE: {"type": "integer", "minimum": 0},
    ColumnKind.DURATION: {"type": "number"},
    ColumnKind.BOOLEAN: {"type": "boolean"},
    ColumnKind.TIME: {"type": "string", "format": "date-time"},
    ColumnKind.LIST: {"type": "array", "items": {"type": "string"}},
}
