"""The columns of ``sigma``'s rows, one a rule. ``watching`` makes the elements."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "rules[]"
COLUMNS = (
    Column("id", ColumnKind.TEXT, "the rule's id", always=True),
    Column("title", ColumnKind.TEXT, "its title"),
    Column("level", ColumnKind.TEXT, "informational, low, medium, high or critical"),
    Column("kind", ColumnKind.TEXT, "which events it is asked about"),
    Column("origin", ColumnKind.TEXT, "builtin, a file of the settings, or the id of the action that brought it"),
    Column("until", ColumnKind.TIME, "of an action's rule: when its window ends"),
    Column("state", ColumnKind.TEXT, "active, or why it is not evaluated"),
    Column("matches", ColumnKind.INTEGER, "events it has matched since the module started"),
    Column("last_match", ColumnKind.TIME, "when it matched last"),
)
