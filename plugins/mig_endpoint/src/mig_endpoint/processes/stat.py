"""What ``/proc/PID/stat`` and ``/proc/PID/status`` say. Sources: proc_pid_stat(5), proc_pid_status(5).

Pure: text in, values out.
"""

from __future__ import annotations

import os
from typing import NamedTuple

PF_KTHREAD = 0x00200000
"""Flag of kernel threads (``include/linux/sched.h``)."""


class Stat(NamedTuple):
    """One line of ``stat``; of a thread or of a process's main thread."""

    name: str
    """The name it goes by (``os.fsdecode``); what ``comm`` says."""
    state: str
    """A letter: ``R``, ``S``, ``D``, ``T``, ``t``, ``Z`` (ended, not waited for), ``X``, ``I``."""
    parent: int
    """Id of the parent; 0 for one outside of this PID namespace."""
    terminal: int
    """The controlling terminal's device number (tty_nr); 0 for none."""
    flags: int
    threads: int
    """Threads of the process; a main thread that has ended counts as long as others run."""
    start: int
    """When it started, in clock ticks (``os.sysconf("SC_CLK_TCK")``) since the machine's start, suspends included."""
    fields: list[bytes]
    """All that stands behind the name: the first is the state."""

    @property
    def program(self) -> tuple[int, ...]:
        """Where its program, stack, arguments and environment lie; zeros where we may not know.

        Another after each exec. Fields 26 to 28 and 45 to 51 of the manual, where there are so many.
        """
        return tuple(map(int, (*self.fields[23:26], *self.fields[42:49])))

    @property
    def is_kernel_thread(self) -> bool:
        """Whether it is part of the kernel: it has no memory and no program, whatever it calls itself."""
        return bool(self.flags & PF_KTHREAD)

    @property
    def has_ended(self) -> bool:
        """Whether this thread has ended; others of the process may go on."""
        return self.state in "ZX"


def parse_stat(text: bytes) -> Stat:
    """Reads ``stat``. The name in it may hold anything, also blanks and brackets.

    Raises:
        ValueError: it does not look like one.
    """
    before, bracket, after = text.rpartition(b")")
    fields = after.split()
    if len(fields) < 22 or not bracket:
        raise ValueError("not a stat line")
    return Stat(
        os.fsdecode(before.partition(b"(")[2]),
        fields[0].decode("ascii", "replace"),
        int(fields[1]),
        int(fields[4]),
        int(fields[6]),
        int(fields[17]),
        int(fields[19]),
        fields,
    )


class Status:
    """What ``status`` says, line by line: a line is looked for when it is asked for.

    The process can write into one of them alone, ``Name``, and the kernel escapes line feeds there.
    """

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        self._text = text if text.startswith(b"\n") else b"\n" + text

    def get(self, name: str, default: str = "") -> str:
        """The line of that name, blanks around it removed: ``Uid`` -> ``"0\\t0\\t0\\t0"``."""
        start = self._text.find(f"\n{name}:".encode())
        if start < 0:
            return default
        start += len(name) + 2
        end = self._text.find(b"\n", start)
        return self._text[start : end if end >= 0 else None].strip().decode("utf-8", "replace")

    def part(self, first: str, behind: str) -> bytes:
        """The lines from one to the one in front of another; all of them where these are not there in this order.

        Most processes have the same text there, so what is made of it need not be made for each.
        """
        start = self._text.find(f"\n{first}:".encode())
        end = self._text.find(f"\n{behind}:".encode(), start)
        return self._text[start:end] if 0 <= start < end else self._text
