"""The columns of ``pkg``'s rows, and where they lie in its elements. ``package`` makes a row."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind

ROWS_AT = "packages[]"
COLUMNS = (
    Column("name", ColumnKind.TEXT, "name, as its package manager lists it", always=True),
    Column("version", ColumnKind.TEXT, "version"),
    Column("type", ColumnKind.TEXT, "what manages it: dpkg, rpm, python, …"),
    Column("arch", ColumnKind.TEXT, "architecture"),
    Column("ecosystem", ColumnKind.TEXT, "kind of package, where type only says who names it: npm, python, …"),
    Column("source", ColumnKind.TEXT, "source package it was built from"),
    Column("sourceversion", ColumnKind.TEXT, "version of that"),
    Column("state", ColumnKind.TEXT, "its manager's word for how far it is installed"),
    Column("selection", ColumnKind.TEXT, "what is to become of it, when that is not install"),
    Column("reinstall", ColumnKind.BOOLEAN, "its manager says that it is broken"),
    Column("path", ColumnKind.PATH, "where it lies, when no system-wide database knows it", masked=True),
)
