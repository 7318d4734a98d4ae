"""What readers share: the look, an entry for what was found, its programs, lines of files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import shell_runs
from mig_autorun.entry import Entry
from mig_autorun.programs import SYSTEM_PATH
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.commands import Run
    from mig_autorun.finding import Found
    from mig_autorun.programs import Program, Programs
    from mig_autorun.system import System

MAX_LINE = 16_384
LONG_LINE = Reason("rest of a line of more than 16 KiB")


@dataclass(frozen=True, slots=True)
class Look:
    """What a reader needs besides the file."""

    system: System
    programs: Programs


def entry_of(found: Found, name: str = "", **fields: object) -> Entry:
    """An entry for a file, in force unless the place or ``state`` says otherwise."""
    entry = Entry(
        found.place.kind,
        name or found.file.name,
        found.file.path,
        found.file.status,
        user=found.user,
        when=found.place.when,
        enabled=not found.state,
        state=found.state,
    )
    return replace(entry, **fields)  # type: ignore[arg-type]  # fields of Entry, by name


def with_programs(
    look: Look,
    entry: Entry,
    runs: list[Run] | None = None,
    folder: str = "",
    search: tuple[str, ...] = SYSTEM_PATH,
) -> Iterator[Entry]:
    """The entry once for each program that its command runs; once without one, when it runs none of its own."""
    programs = shell_runs(entry.command) if runs is None else runs
    for run in programs:
        program = look.programs.of(run, search, folder)
        if run.is_argument and not _may_run(program):
            continue
        yield replace(entry, program=program.path if program is not None else None, notes=list(entry.notes))
    if not programs:
        yield entry


def _may_run(program: Program | None) -> bool:
    """Whether a path behind a program may be run by it: it is there, and executable."""
    return program is not None and program.file is not None and program.file.is_file and program.file.may_run


_PATH = re.compile(r"^[ \t]*(?:export[ \t]+)?PATH[ \t]*=[ \t]*[\"']?([^\"'\n;]*)", re.MULTILINE)


def search_path(text: str) -> tuple[str, ...]:
    """Where a table or script that sets ``PATH`` looks for programs, before the usual folders."""
    named = [folder.strip() for found in _PATH.findall(text) for folder in found.split(":")]
    return (*(folder.rstrip("/") for folder in named if folder.startswith("/")), *SYSTEM_PATH)


def lines(look: Look, found: Found, comments: str = "#") -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, without blank ones and comments, joined where a backslash ends one."""
    pending: list[str] = []
    began = 0
    for number, line in enumerate(look.system.text(found.file).split("\n"), 1):
        bare = line.strip()
        if not pending:
            if not bare or bare[0] in comments:
                continue
            began = number
        if bare.endswith("\\"):
            pending.append(bare[:-1] + " ")
            continue
        pending.append(bare)
        if whole := "".join(pending).strip():
            yield began, _bounded(look, found, whole)
        pending.clear()
    if whole := "".join(pending).strip():
        yield began, _bounded(look, found, whole)


def _bounded(look: Look, found: Found, line: str) -> str:
    """A line of a length that every pattern gets through soon; what is longer is cut and booked."""
    if len(line) > MAX_LINE:
        look.system.tally.skip(LONG_LINE, found.file.path)
    return line[:MAX_LINE]


def matching(
    look: Look, found: Found, pattern: re.Pattern[str], comments: str = "#"
) -> Iterator[tuple[int, re.Match[str]]]:
    """The lines that a pattern fits from their beginning on."""
    for number, line in lines(look, found, comments):
        fits = pattern.match(line)
        if fits is not None:
            yield number, fits
