"""The columns of ``dispatch``'s rows, one a sink. ``status`` makes the elements."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "sinks[]"
COLUMNS = (
    Column("name", ColumnKind.TEXT, "name of the sink", always=True, masked=True),
    Column("kind", ColumnKind.TEXT, "http, elasticsearch, splunk, gelf, syslog, sns or file"),
    Column("received", ColumnKind.INTEGER, "alerts since the sink is known"),
    Column("delivered", ColumnKind.INTEGER, "alerts it took"),
    Column("merged", ColumnKind.INTEGER, "alerts that went out in the count of another"),
    Column("unwanted", ColumnKind.INTEGER, "alerts it is not meant to get"),
    Column("dead_lettered", ColumnKind.INTEGER, "alerts it will never take"),
    Column("damaged", ColumnKind.INTEGER, "alerts that could not be read back"),
    Column("dropped", ColumnKind.INTEGER, "alerts that waited beyond its bounds"),
    Column("oldest", ColumnKind.TIME, "when the first alert came that waits for it"),
    Column("spooled", ColumnKind.INTEGER, "alerts that wait for it"),
    Column("refusals", ColumnKind.LIST, "why alerts were refused for good, and how many", masked=True),
    Column("failures", ColumnKind.INTEGER, "attempts that failed"),
    Column("last_success", ColumnKind.TIME, "when it took an alert last"),
    Column("last_error", ColumnKind.TEXT, "what it said last when it did not", masked=True),
    Column("last_error_at", ColumnKind.TIME, "when that was"),
)
