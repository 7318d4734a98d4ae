"""The columns of ``audit``'s one row, its status. ``watch`` makes it."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

COLUMNS = (
    Column("mode", ColumnKind.TEXT, "how the kernel's records are received", always=True),
    Column("enabled", ColumnKind.INTEGER, "whether the kernel audits: 0 no, 1 yes, 2 locked"),
    Column("rules_wanted", ColumnKind.INTEGER, "rules of the settings"),
    Column("rules_loaded", ColumnKind.INTEGER, "those that the kernel has"),
    Column("rules_waiting", ColumnKind.INTEGER, "those whose path is not there"),
    Column("rules_refused", ColumnKind.INTEGER, "those that it refused"),
    Column("rules_foreign", ColumnKind.INTEGER, "rules of others in the kernel"),
    Column("events", ColumnKind.INTEGER, "events seen"),
    Column("records", ColumnKind.INTEGER, "records seen"),
    Column("backlog", ColumnKind.INTEGER, "records that wait in the kernel"),
    Column("backlog_limit", ColumnKind.INTEGER, "how many may"),
    Column("queued_records", ColumnKind.INTEGER, "records that wait in the module"),
    Column("open_events", ColumnKind.INTEGER, "events whose records are not all there"),
)
