"""The columns of ``yara``'s rows: one for each rule that matches a file, a member of an archive, or a process."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "rows[]"
COLUMNS = (
    Column("file", ColumnKind.PATH, "path of the file", masked=True),
    Column("member", ColumnKind.PATH, "path in the archive that the file is", masked=True),
    Column("pid", ColumnKind.INTEGER, "id of the process"),
    Column("process", ColumnKind.PATH, "executable of the process, or [name]"),
    Column("container", ColumnKind.TEXT, "runtime and id of the container the process seems to live in", masked=True),
    Column("rule", ColumnKind.TEXT, "name of the rule", always=True),
    Column("namespace", ColumnKind.TEXT, "which source of the question the rule is of"),
    Column("tags", ColumnKind.LIST, "the rule's tags"),
    Column("meta", ColumnKind.LIST, "the rule's metadata, as name=value"),
    Column("patterns", ColumnKind.LIST, "which patterns were found, and how often, as $a=3"),
    Column("matches", ColumnKind.LIST, "where, as $a@0x1f:12: offset or address, and length"),
    Column("excerpts", ColumnKind.LIST, "the first bytes found, as $a=6d5a9000, if they were asked for", masked=True),
    Column("size", ColumnKind.SIZE, "size of the file or member"),
    Column("sha256", ColumnKind.HASH, "SHA-256 of the file, if it was asked for"),
    Column("uri", ColumnKind.TEXT, "exact name, where the path is no valid UTF-8", masked=True),
)
