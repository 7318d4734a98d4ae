"""What is known of a program: where it is, whose, who may change it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_core.records import dataclass

if TYPE_CHECKING:
    import os

    from mig_autorun.commands import Run
    from mig_autorun.system import File, System

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where names of programs are looked for."""
ANYBODY = -1
"""In the set of who may change something: everybody."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is run."""

    path: str
    """As the system names it, links not resolved; a name without a slash when it is on no PATH."""
    file: File | None
    """None when it is not there."""

    @property
    def exists(self) -> bool:
        """Whether there is a file to be run."""
        return self.file is not None and self.file.is_file


class Programs:
    """Finds programs below a root, and who may change them."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._changers: dict[str, frozenset[int]] = {}

    def resolve(self, path: str, search: tuple[str, ...] = SYSTEM_PATH, folder: str = "") -> Program:
        """A program by path or name.

        Args:
            path: as written.
            search: directories in which a name without a slash is looked for.
            folder: the working directory, for a relative path.
        """
        if path.startswith("/"):
            return Program(path, self._system.at(path))
        if "/" in path:
            whole = f"{folder}/{path}"
            return Program(whole, self._system.at(whole)) if folder else Program(path, None)
        for directory in search:
            found = Program(f"{directory}/{path}", self._system.at(f"{directory}/{path}"))
            if found.exists:
                return found
        return Program(path, None)

    def of(self, run: Run, search: tuple[str, ...] = SYSTEM_PATH, folder: str = "") -> Program | None:
        """The program of a command line: the script, where an interpreter is given one.

        None when it is not known: only a running shell knows its name, or the folder that it is relative to.
        """
        if run.script:
            script = self.resolve(run.script, (), folder)
            if script.exists or run.script.startswith("/"):
                return script
            if "/" in run.script:
                return None
        if run.program is None or ("/" in run.program and not run.program.startswith("/") and not folder):
            return None
        return self.resolve(run.program, search, folder)

    def changers(self, file: File) -> frozenset[int]:
        """Who besides root may change a file or put another in its place: user ids, :data:`ANYBODY` for all.

        By owners and modes of it and of the directories above; access control lists are not asked.
        """
        found: set[int] = set()
        if file.status is not None:
            found |= self._by_mode(file.status)
        for path in {file.path, self._system.tree.named(file.real) if file.real else file.path}:
            found |= self.changers_of_directory(path.rpartition("/")[0] or "/")
        return frozenset(found)

    def changers_of_directory(self, path: str) -> frozenset[int]:
        """Who may put something into a directory, or replace it: the next one that is there."""
        above = []
        while path not in self._changers:
            above.append(path)
            if path == "/":
                break
            path = path.rpartition("/")[0] or "/"
        known = self._changers.get(path, frozenset())
        is_there = True
        for one in reversed(above):
            file = self._system.at(one) if is_there else None
            is_there = file is not None
            if file is not None and file.status is not None:
                known |= self._by_mode(file.status)
            self._changers[one] = known
        return known

    def _by_mode(self, status: os.stat_result) -> set[int]:
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return set()  # a mask leads to /dev/null, which everybody may write to
        found = {status.st_uid} - {0}
        is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if is_sticky:
            return found  # others may make files there, and not replace what is not theirs
        if status.st_mode & stat.S_IWOTH:
            found.add(ANYBODY)
        if status.st_mode & stat.S_IWGRP and status.st_gid != 0:
            own = self._system.primary_groups.get(status.st_gid, set())
            found |= own if own and own <= {status.st_uid} else {ANYBODY}
        return found
