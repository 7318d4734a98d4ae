"""The columns of ``fswatch``'s rows: changes that were told, or entries that differ from the baseline."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "changes[]"
COLUMNS = (
    Column("time", ColumnKind.TIME, "when it happened, or was found; of a difference: when it was looked at"),
    Column("change", ColumnKind.TEXT, "what kind of change it is", always=True),
    Column("path", ColumnKind.PATH, "the entry's path", masked=True, always=True),
    Column("moved_from", ColumnKind.PATH, "the path it had before it was moved", masked=True),
    Column("kind", ColumnKind.TEXT, "file, directory, link, fifo, socket or device"),
    Column("differs", ColumnKind.LIST, "the facts that are others than before"),
    Column("executable", ColumnKind.PATH, "the program that did it; unknown where that is not known"),
    Column("user", ColumnKind.TEXT, "the user it ran as; unknown where that is not known", masked=True),
    Column("pid", ColumnKind.INTEGER, "its process id"),
    Column("package_manager", ColumnKind.TEXT, "the package manager in whose run it happened"),
    Column("seen", ColumnKind.TEXT, "live, or why everything was compared: start, overflow, mounts, interval or paths"),
    Column("events", ColumnKind.INTEGER, "how many events of the kernel it was"),
    Column("mode", ColumnKind.TEXT, "permission bits, in octal"),
    Column("size", ColumnKind.SIZE, "the file's size"),
    Column("sha256", ColumnKind.HASH, "hash of its content"),
    Column("was_sha256", ColumnKind.HASH, "of a difference: hash of the content in the baseline"),
)  # fmt: skip
