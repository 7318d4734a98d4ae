"""What is mounted at boot, or when somebody looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import Run
from mig_autorun.readers.reading import Look, entry_of, lines, with_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

_OCTAL = re.compile(r"\\([0-7]{3})")


def fstab(found: Found, look: Look) -> Iterator[Entry]:
    """fstab(5): what, where, type, options."""
    if found.file.is_directory:
        return
    for number, line in lines(look, found):
        fields = [_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), one) for one in line.split()]
        if len(fields) >= 3:
            options = fields[3].split(",") if len(fields) > 3 else []
            state = "noauto" if "noauto" in options else ""
            one = entry_of(
                found, fields[1], line=number, key=fields[2], command=f"{fields[0]} {','.join(options)}".strip()
            )
            one.state, one.enabled = state, not state
            helper = f"mount.{fields[2]}"
            program = look.programs.resolve(helper)
            yield from with_programs(look, one, [Run(helper)] if program.exists else [])


def autofs(found: Found, look: Look) -> Iterator[Entry]:
    """auto.master(5): maps; one that is a program is run when somebody looks."""
    if found.file.is_directory:
        return
    if found.file.may_run:
        yield entry_of(found, key="program map", program=found.file.path)
        return
    if not found.file.path.rpartition("/")[2].startswith("auto.master") and "auto.master.d" not in found.file.path:
        return
    for number, line in lines(look, found):
        fields = line.split()
        if len(fields) >= 2 and line[0] in "/+":
            kind, _, name = fields[1].rpartition(":")
            path = name if name.startswith("/") else f"/etc/{name}"
            file = look.system.at(path)
            program = path if kind == "program" or (file is not None and file.is_file and file.may_run) else ""
            yield entry_of(found, fields[0], line=number, key=kind or "map", command=fields[1], program=program)
