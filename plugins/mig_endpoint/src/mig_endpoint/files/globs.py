"""Paths with wildcards and ``~``, expanded where they are looked for.

``*``, ``?`` and ``[…]`` stand for characters of one name, a leading full stop too: who looks for what hides must not
miss it for that. ``~`` stands for every account's home directory, ``~name`` for that of one. A path that is there
literally, wildcards and all, is always among what a pattern stands for.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.naming import PathText, join
from mig_endpoint.packages.accounts import PASSWD, home_directories
from mig_endpoint.packages.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.crossings import Crossings

MAX_PATHS = 10_000
"""Paths that one pattern may stand for; more are booked and left out."""
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_SYSTEM = frozenset({"/", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/games", "/dev", "/etc"})
"""What accounts of the system name for want of a home: no home to be gone through as a whole."""
_WILD = re.compile(r"[*?[]")


def is_pattern(path: str) -> bool:
    """Whether a path is to be expanded."""
    return path.startswith("~") or _WILD.search(path) is not None


class Globs:
    """Expands paths."""

    def __init__(self, tally: Tally, crossings: Crossings, expired: Callable[[], bool]) -> None:
        """``expired``: whether time is over."""
        self._tally = tally
        self._crossings = crossings
        self._expired = expired

    def expand(self, path: str) -> list[str]:
        """The paths that are there of those that ``path`` stands for, in the order of their text; itself if it is none.

        What could not be listed is booked; so is a pattern that nothing fits (:data:`coverage.NOTHING_FITS`).
        """
        if not is_pattern(path):
            return [path]
        found = [path] if self._is_there(path) else []
        for start, parts in self._starts(path):
            found += self._matches(start, parts)
        found = sorted(dict.fromkeys(found))
        if not found:
            self._tally.failed(coverage.NOTHING_FITS, PathText(path), "nothing that is there fits this path")
        elif len(found) > MAX_PATHS:
            self._tally.skip(coverage.TOO_MANY_PATHS, PathText(path), count=len(found) - MAX_PATHS)
        return found[:MAX_PATHS]

    def _starts(self, path: str) -> Iterator[tuple[str, list[str]]]:
        """Where to begin, and the names to go on with."""
        if not path.startswith("~"):
            yield ("/" if path.startswith("/") else ""), [part for part in path.split("/") if part]
            return
        account, *parts = path[1:].split("/")
        for home in self._homes(account):
            if parts or home not in _SYSTEM:
                yield home, parts

    def _matches(self, start: str, parts: list[str]) -> list[str]:
        """The paths that are there below ``start``."""
        paths = [start]
        for part in parts:
            if _WILD.search(part) is None:
                paths = [join(path, part) for path in paths]
                continue
            fits = re.compile(fnmatch.translate(part)).match
            paths = [join(path, name) for path in paths for name in self._names(path) if fits(name)]
            if len(paths) > MAX_PATHS:
                self._tally.skip(coverage.TOO_MANY_PATHS, PathText(join(start, "/".join(parts))))
                del paths[MAX_PATHS:]
        return [path for path in paths if self._is_there(path)]

    def _names(self, directory: str) -> list[str]:
        if self._expired():
            self._tally.skip(coverage.TIME, PathText(directory))
            return []
        try:
            return self._crossings.for_path(directory).call(os.listdir, directory or ".")
        except OSError as failure:
            if failure.errno not in _GONE:
                coverage.failed(self._tally, PathText(directory), failure)
            return []

    def _is_there(self, path: str) -> bool:
        """Whether there is anything at a path; what cannot be known is for whoever looks at it to find out."""
        try:
            self._crossings.for_path(path).stat(path, follow_symlinks=False)
        except OSError as failure:
            return failure.errno not in _GONE
        return True

    def _homes(self, account: str) -> list[str]:
        """The home directories of all accounts, or of one."""
        homes = []
        try:
            found = self._crossings.for_path("/").call(_home_of, account) if account else self._all_homes()
        except OSError as failure:
            coverage.failed(self._tally, PathText(PASSWD), failure)
            return []
        for home in found:
            if isinstance(home, OSError):
                coverage.failed(self._tally, PathText(home.filename or PASSWD), home)
            else:
                homes.append(home)
        return homes

    def _all_homes(self) -> list[str | OSError]:
        return self._crossings.for_path("/").call(lambda: list(home_directories(Tree("/"))))


def _home_of(account: str) -> list[str | OSError]:
    """The home that ``/etc/passwd`` names for an account; no name service is asked, for that could use the network."""
    homes: list[str | OSError] = []
    with open(PASSWD, "rb") as lines:
        for line in lines:
            fields = line.split(b":")
            if len(fields) >= 6 and os.fsdecode(fields[0]) == account:
                homes.append(os.fsdecode(fields[5]).rstrip("/") or "/")
    return homes
