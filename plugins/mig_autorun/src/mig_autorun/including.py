"""Files that files of configuration include from elsewhere: they are in force like those at the place itself."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_autorun.finding import expand
from mig_core.plugin.coverage import Reason
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_autorun.finding import Found
    from mig_autorun.system import File, System

MAX_INCLUDED = 1000
TOO_MANY = Reason("included file behind the first thousand of its place")
_LINE = re.MULTILINE
_INCLUDES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "apt-conf": (re.compile(r"^\s*#include\s+\"?([^\";\n]+)", _LINE), ""),
    "git": (re.compile(r"^\s*path\s*=\s*\"?([^\"\n]+)", _LINE), ""),
    "interfaces": (re.compile(r"^\s*source(?:-directory)?\s+(\S+)", _LINE), "/etc/network"),
    "ld-path": (re.compile(r"^\s*include\s+(.+)", _LINE), "/etc"),
    "logrotate": (re.compile(r"^\s*include\s+(\S+)", _LINE), ""),
    "rsyslog": (re.compile(r"^\s*(?:\$IncludeConfig\s+|include\(\s*file\s*=\s*\"|@include\s+\")([^\s\"]+)", _LINE), ""),
    "ssh": (re.compile(r"^\s*include(?:\s*=\s*|\s+)(.+)", _LINE | re.IGNORECASE), "/etc/ssh"),
    "sshd": (re.compile(r"^\s*include(?:\s*=\s*|\s+)(.+)", _LINE | re.IGNORECASE), "/etc/ssh"),
    "supervisor": (re.compile(r"^\s*files\s*=\s*(.+)", _LINE), ""),
    "xinetd": (re.compile(r"^\s*include(?:dir)?\s+(\S+)", _LINE), ""),
}
"""Reader -> what includes, and the folder that a relative path is of; without one it is the file's own."""
_SINGLE = frozenset({"apt-conf", "git"})
"""Those whose path may have blanks in it."""
_FOLDERS = frozenset({"interfaces", "logrotate", "xinetd"})
"""Those that may include a folder as a whole."""


class Including:
    """Follows the includes of one place; each file is told once, wherever it is included."""

    def __init__(self, system: System, found: list[Found]) -> None:
        self._system = system
        self._queue = list(found)
        self._seen = {one.file.real for one in found}

    def all(self) -> Iterator[Found]:
        """What was found at the place, and what it includes."""
        place = 0
        while place < len(self._queue):
            found = self._queue[place]
            place += 1
            yield found
            for file in self._included(found):
                if file.real in self._seen:
                    continue
                if len(self._seen) > MAX_INCLUDED:
                    self._system.tally.skip(TOO_MANY, file.path)
                    return
                self._seen.add(file.real)
                self._queue.append(replace(found, file=file, state=""))

    def _included(self, found: Found) -> Iterator[File]:
        known = _INCLUDES.get(found.place.reader)
        if known is None or found.state or not found.file.is_file:
            return
        pattern, base = known
        for fits in pattern.finditer(self._system.text(found.file)):
            named = [fits[1].strip()] if found.place.reader in _SINGLE else fits[1].split()
            for path in named:
                yield from self._files(self._absolute(path.strip("\"'"), base, found), found.place.reader)

    def _absolute(self, path: str, base: str, found: Found) -> str:
        home = found.home.path if found.home is not None else ""
        if path.startswith("~/"):
            return f"{home}{path[1:]}" if home else ""
        if found.place.reader == "ssh" and home:
            base = f"{home}/.ssh"
        return os.path.normpath(os.path.join(base or found.file.path.rpartition("/")[0], path))

    def _files(self, pattern: str, reader: str) -> Iterator[File]:
        for path in expand(self._system, pattern) if pattern.startswith("/") and "\0" not in pattern else ():
            file = self._system.at(path)
            if file is None:
                continue
            folder = self._system.folder(path) if file.is_directory and reader in _FOLDERS else None
            for one in [self._system.inside(folder, name) for name in sorted(folder.names)] if folder else [file]:
                if one.is_file:
                    yield one
