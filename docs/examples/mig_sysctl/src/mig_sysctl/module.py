"""The module ``sysctl``: the kernel's parameters and their values, read below /proc/sys (proc_sys(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter
from mig_core.plugin.table import TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.table import TableContext

ROOT = "/proc/sys"
UNREADABLE = Reason("parameter that cannot be read")
LONGER = Reason("value longer than asked for")


class SysctlModule(TableModule):
    """A row for each parameter of the kernel."""

    info = ModuleInfo(
        name="sysctl",
        summary="the kernel's parameters and their values",
        discloses="names and values of the kernel's parameters",
    )
    columns = (
        Column("name", ColumnKind.TEXT, "name of the parameter", always=True),
        Column("value", ColumnKind.TEXT, "its value", masked=True),
        Column("writable", ColumnKind.BOOLEAN, "whether root may change it"),
    )
    options = (
        Parameter(
            name="longest",
            key="longest",
            kind=Kind.INTEGER,
            minimum=1,
            maximum=65_536,
            default=4_096,
            metavar="BYTES",
            help="how much of a value is read",
        ),
    )

    def look(self, context: TableContext, tally: Tally) -> Iterator[Mapping[str, Cell]]:
        """Goes through all parameters, and reads those that may be asked for."""
        longest = context.values.integer("longest")
        for path in _paths():
            name = path.removeprefix(f"{ROOT}/").replace("/", ".")
            if context.rules_out(name=name):
                continue
            tally.examined("parameters")
            value: str | None = None
            writable: bool | None = None
            try:
                writable = bool(os.stat(path).st_mode & 0o200)
                with open(path, "rb") as file:
                    value = os.fsdecode(file.read(longest + 1).rstrip())
            except OSError as error:
                tally.failed(UNREADABLE, name, error.strerror or str(error))
            if value is not None and len(value) > longest:
                tally.skip(LONGER, name)
                value = value[:longest]
            yield {"name": name, "value": value, "writable": writable}

    def line(self, row: Row) -> str:
        """As sysctl(8) prints it; a value that is not known is a question mark."""
        value = row.get("value", "")
        return f"{row.get('name')} = {'?' if value is None else value}"


def _paths() -> Iterator[str]:
    for folder, folders, files in os.walk(ROOT):
        folders.sort()
        yield from (f"{folder}/{file}" for file in sorted(files))
