"""Who started whom: remembered from the programs that were seen to start, and else looked up while they run.

A process that only forked has no event of its own; ``/proc`` tells of it as long as it is there. So a chain of parents
may end early, and says so by its last member's ``ppid``.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

KEPT = 32_768
"""Processes that are remembered; Linux's own default for how many there are."""
MOST_TEXT = 4096
"""Characters of a command line that are remembered."""
DEEPEST = 32
FORGOTTEN_AFTER = 1.0
"""Seconds for which a process that is not there is not looked for again."""


class Ancestor(NamedTuple):
    """One process."""

    pid: int
    ppid: int | None
    program: str
    command: str
    user: str = ""

    def to_json(self) -> JSON:
        """The JSON form."""
        made: dict[str, JSON] = {"pid": self.pid, "ppid": self.ppid, "exe": self.program, "command": self.command}
        return made | ({"user": self.user} if self.user else {})


class Lineage:
    """Remembers."""

    def __init__(self, proc: str = "/proc") -> None:
        """``proc``: where the process file system is mounted."""
        self._proc = proc
        self._known: OrderedDict[int, Ancestor] = OrderedDict()
        self._gone: set[int] = set()
        self._looked = 0.0

    def started(self, process: Mapping[str, Any], user: str) -> None:
        """A program has been started in a process, by a user (empty: not known)."""
        pid, ppid = process.get("pid"), process.get("ppid")
        if not isinstance(pid, int):
            return
        command = " ".join(map(str, process.get("arguments") or ()))[:MOST_TEXT]
        self._keep(pid, Ancestor(pid, ppid if isinstance(ppid, int) else None, str(process.get("exe")), command, user))

    def of(self, pid: object) -> Ancestor | None:
        """A process; None when nothing is known of it."""
        if not isinstance(pid, int) or pid <= 0:
            return None
        found = self._known.get(pid)
        if found is not None:
            return found
        now = time.monotonic()
        if now - self._looked > FORGOTTEN_AFTER:
            self._gone.clear()
            self._looked = now
        if pid in self._gone:
            return None
        found = self._look_up(pid)
        if found is not None:
            self._keep(pid, found)
        else:
            self._gone.add(pid)
        return found

    def chain(self, pid: object) -> list[JSON]:
        """A process and those that started it, the nearest first."""
        chain: list[JSON] = []
        seen: set[object] = set()
        while pid not in seen and len(chain) < DEEPEST and (found := self.of(pid)) is not None:
            seen.add(pid)
            chain.append(found.to_json())
            pid = found.ppid
        return chain

    def _keep(self, pid: int, found: Ancestor) -> None:
        self._known[pid] = found
        self._known.move_to_end(pid)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _look_up(self, pid: int) -> Ancestor | None:
        folder = f"{self._proc}/{pid}"
        try:
            program = os.readlink(f"{folder}/exe")
            with open(f"{folder}/cmdline", "rb") as file:
                command = file.read(MOST_TEXT)
            with open(f"{folder}/stat", "rb") as file:
                ppid = int(file.read(4096).rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return None
        text = command.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
        return Ancestor(pid, ppid, program.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), text)
