"""Rules of udev(7) that run programs: ``RUN``, ``PROGRAM``, ``IMPORT{program}``, ``SYSTEMD_WANTS``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_autorun.commands import Run, word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, with_programs
from mig_autorun.systemd.unit_file import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

FOLDERS = ("/usr/lib/udev", "/lib/udev")
"""Where a program without a slash lies."""
_TOKEN = re.compile(r'([A-Z_]+)(?:\{([^}"]*)\})?\s*(\+=|-=|:=|==|!=|=)\s*e?"((?:[^"\\]|\\.)*)"')
_WANTS = ("SYSTEMD_WANTS", "SYSTEMD_USER_WANTS")
_MATCHES = ("==", "!=")


def rules(found: Found, look: Look) -> Iterator[Entry]:
    """The programs that a file of rules runs, and the units that it wants.

    An assignment with ``=`` to ``RUN`` takes away what rules before it added for the same device: whether those fit
    the same device only a device tells, so all are told, and what clears them too.
    """
    for number, line in lines(look, found):
        tokens = _TOKEN.findall(line)
        match = ", ".join(
            f"{key}{{{sub}}}{sign}{value}" if sub else f"{key}{sign}{value}"
            for key, sub, sign, value in tokens
            if sign in _MATCHES
        )
        for key, sub, sign, value in tokens:
            if key == "RUN" and sub in ("", "program"):
                yield from _program(found, look, number, f"RUN{sign}", value, match)
            elif key in ("PROGRAM", "IMPORT") and (sub == "program" or key == "PROGRAM"):
                yield from _program(found, look, number, key, value, match)
            elif key == "ENV" and sub in _WANTS and sign not in _MATCHES:
                for unit in value.split():
                    yield entry_of(
                        found, unit, line=number, key=sub, command=line[:1000], when=match[:300] or "any device"
                    )


def _program(found: Found, look: Look, number: int, key: str, value: str, match: str) -> Iterator[Entry]:
    one = entry_of(found, line=number, key=key, command=value, when=match[:300] or "any device")
    if not value:
        one.notes.append("clears what rules before it added")
        yield one
        return
    parts = words(value)
    if not parts:
        return
    if "/" not in parts[0] and "$" not in parts[0] and "%" not in parts[0]:
        for folder in FOLDERS:
            if look.system.at(f"{folder}/{parts[0]}") is not None:
                parts[0] = f"{folder}/{parts[0]}"
                break
        else:
            parts[0] = f"{FOLDERS[0]}/{parts[0]}"
    unknown = "$" in parts[0] or "%" in parts[0]
    yield from with_programs(look, one, [Run(None)] if unknown else word_runs(parts))
