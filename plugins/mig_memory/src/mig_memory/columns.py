"""The columns of ``memory``'s rows, and where they lie in its elements. ``rows`` makes the elements."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "*[]"
COLUMNS = (
    Column("search", ColumnKind.TEXT, "label of the search that found it", at="@1"),
    Column("name", ColumnKind.PATH, "executable of the process, or [name]", at="process.name", always=True),
    Column("pid", ColumnKind.INTEGER, "id of the process", at="process.pid"),
    Column("user", ColumnKind.TEXT, "whose process it is", at="process.user", masked=True),
    Column("executable", ColumnKind.PATH, "path behind a [name]", at="process.executable", masked=True),
    Column("deleted", ColumnKind.BOOLEAN, "the executable's file is gone", at="process.deleted"),
    Column("container", ColumnKind.TEXT, "runtime and beginning of the id", at="process.container", masked=True),
    Column("mountnamespace", ColumnKind.INTEGER, "its number, when not the agent's", at="process.mountnamespace"),
)
