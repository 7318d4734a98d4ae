"""The columns of ``file``'s rows, and where they lie in its elements. ``rows`` makes the elements."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "*[]"
COLUMNS = (
    Column("search", ColumnKind.TEXT, "label of the search that found it", at="@1"),
    Column("file", ColumnKind.PATH, "path of the file", always=True, masked=True),
    Column("size", ColumnKind.SIZE, "size of the file", at="fileinfo.size"),
    Column("mode", ColumnKind.TEXT, "type and permissions, as in -rw-r--r--", at="fileinfo.mode"),
    Column("lastmodified", ColumnKind.TIME, "when its content was changed last", at="fileinfo.lastmodified"),
    Column("sha256", ColumnKind.HASH, "SHA-256 of its content, when it was asked for", at="fileinfo.sha256"),
    Column("hash", ColumnKind.HASH, "its hash that is in a list of the question", at="fileinfo.hash"),
    Column("member", ColumnKind.PATH, "path in the archive that the file is", masked=True),
    Column("target", ColumnKind.PATH, "what a link says it leads to", masked=True),
    Column("uri", ColumnKind.TEXT, "exact name, where the path is no valid UTF-8", masked=True),
)
