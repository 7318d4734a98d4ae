"""What ``--check`` and ``mig doctor`` have in common: looks at many things at once, and names what is wrong first.

A look is a generator: it yields a line for each thing that is well, and a :class:`Wrong` for each that is not; errors
of ours that it raises count as one. All looks run at the same time, each in a thread, so that a broker that says
nothing does not hide a full disk; whoever has not finished in time is wrong, whatever the reason.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from mig_core.errors import MigError
from mig_core.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

SECONDS = 2.5
"""From the start of the program until its looks are at an end."""
LEAST_SECONDS = 1.0
"""For the looks, however long the start took."""
CLOCKS_MAY_DIFFER = 60.0
"""Seconds. Beyond that signatures and windows begin to be refused."""
LITTLE_ROOM = 64 << 20
"""Bytes. With less a disk counts as full: databases, spools and keyrings need some at once."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is not as it should be."""

    problem: str
    next_step: str = ""


@dataclass(slots=True)
class Seen:
    """What one look saw."""

    subject: str
    lines: list[str | Wrong] = field(default_factory=list)
    finished: bool = False

    @property
    def wrongs(self) -> Sequence[Wrong]:
        """What of it is wrong."""
        return [one for one in self.lines if isinstance(one, Wrong)]


def examine(looks: Mapping[str, Callable[[], Iterable[str | Wrong]]], *, seconds: float = SECONDS) -> Sequence[Seen]:
    """Looks at everything at once; returns after ``seconds`` at the latest.

    Args:
        looks: by subject; first what others depend on.
        seconds: for all of them together.
    """
    seen = [Seen(subject) for subject in looks]
    # Daemons: one that never comes back must not keep the program from ending.
    threads = [
        threading.Thread(target=_look, args=(one, look), name=f"check {one.subject}", daemon=True)
        for one, look in zip(seen, looks.values(), strict=True)
    ]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    said = [Seen(one.subject, list(one.lines), one.finished) for one in seen]
    for one in said:
        if not one.finished:
            one.lines.append(
                Wrong(f"no answer within {seconds:g} s", "is it reachable from here, or is this machine overloaded?")
            )
    return said


def _look(seen: Seen, look: Callable[[], Iterable[str | Wrong]]) -> None:
    try:
        for line in look():
            seen.lines.append(line)
    except MigError as error:
        seen.lines.append(Wrong(str(error), error.next_step))
    except Exception as error:
        # Whatever it is, it is in the way of whoever starts the program.
        seen.lines.append(Wrong(f"{type(error).__name__}: {error}"))
    seen.finished = True


def tell(program: str, seen: Sequence[Seen], out: TextIO) -> bool:
    """Prints a line for everything, and last the one thing to see to; returns whether all is well."""
    for one in seen:
        for line in one.lines:
            if isinstance(line, Wrong):
                print(f"WRONG   {one.subject}: {printable(line.problem)}", file=out)
                if line.next_step:
                    print(f"        {printable(line.next_step)}", file=out)
            else:
                print(f"ok      {one.subject}: {printable(line)}", file=out)
    first = next(((one.subject, wrong) for one in seen for wrong in one.wrongs), None)
    if first is None:
        print(f"{program}: all is well", file=out)
        return True
    subject, wrong = first
    more = sum(len(one.wrongs) for one in seen) - 1
    print(
        f"{program}: {subject}: {printable(wrong.problem)}" + (f" (and {more} more)" if more else ""),
        *([f"next: {printable(wrong.next_step)}"] if wrong.next_step else []),
        sep="\n",
        file=out,
    )
    return False


def document(seen: Sequence[Seen]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "subject": one.subject,
            "ok": not one.wrongs,
            "lines": [line for line in one.lines if isinstance(line, str)],
            "wrong": [{"problem": wrong.problem, "next_step": wrong.next_step} for wrong in one.wrongs],
        }
        for one in seen
    ]


def leave(status: int, seen: Sequence[Seen]) -> int:
    """The status; when a look hangs the process ends here, because threads of libraries would be waited for."""
    if not all(one.finished for one in seen):
        _end(status)
    return status


def _end(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def seconds_left(wanted: float | None = None) -> float:
    """How long looks may take.

    Args:
        wanted: so long; None: as long as is left of :data:`SECONDS` since this process began.
    """
    if wanted is not None:
        return wanted
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return SECONDS
    return max(LEAST_SECONDS, SECONDS - age)


def look_at_room(folder: Path) -> Iterator[str | Wrong]:
    """Whether there is room on the disk of a folder (or of what it will be made in), and whether we may write there."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    files = os.statvfs(there)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Wrong(f"{there} cannot be written to", "run as the account it belongs to, or give it to this one")
    elif free < LITTLE_ROOM:
        yield Wrong(f"{free >> 20} MiB are free below {folder}", "make room on its disk")
    elif files.f_files and files.f_favail == 0:
        yield Wrong(f"no file can be made below {folder}: its disk has no inode left", "remove files there")
    else:
        yield f"{free >> 20} MiB are free below {folder}"


def look_at_clock(ahead: timedelta, than: str) -> str | Wrong:
    """Whether two clocks agree well enough.

    Args:
        ahead: how far ours is ahead.
        than: whose the other one is.
    """
    seconds = ahead.total_seconds()
    if abs(seconds) <= CLOCKS_MAY_DIFFER:
        return f"agrees with {than} to {abs(seconds):.0f} s"
    return Wrong(
        f"is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {than}",
        "set both clocks by NTP (timedatectl)",
    )
