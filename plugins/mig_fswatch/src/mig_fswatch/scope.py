"""What is watched: the settings' paths, found on this endpoint.

A path is followed from the root, part by part. Each directory on the way is an *anchor*: should the next part come, go
or become another there, the path is followed anew. So a path need not be there yet, and links on the way are watched
as what they are and followed to what they lead to. What lies on a network, or may hang, is not gone into.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.files.filesystems import is_network, may_hang
from mig_endpoint.files.naming import PathText, join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.mounts import Mounts

MAX_LINKS = 20
MAX_FOUND = 100_000
"""Paths that all patterns together may stand for."""
TOO_MANY = Reason("more paths than are watched")
_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True)
class Scope:
    """What the paths lead to, at one moment."""

    trees: set[str] = field(default_factory=set)
    """Directories that are watched with everything below them; none lies in another."""
    files: set[str] = field(default_factory=set)
    """Single entries: files, and links on the way."""
    anchors: dict[str, set[str]] = field(default_factory=dict)
    """Directory -> names (perhaps with wildcards) that matter there."""

    def covers(self, path: str) -> bool:
        """Whether an entry is watched."""
        return path in self.files or self.in_tree(path)

    def in_tree(self, path: str) -> bool:
        """Whether an entry is, or lies in, a directory that is watched with everything below."""
        while path not in self.trees:
            if path in ("/", ""):
                return False
            path = path.rpartition("/")[0] or "/"
        return True

    def anchors_at(self, directory: str, name: str) -> bool:
        """Whether a name in a directory is part of a way to something."""
        patterns = self.anchors.get(directory)
        return bool(patterns) and (name in patterns or any(fnmatch.fnmatchcase(name, one) for one in patterns))


class Exclusions:
    """Paths that are left out, with everything below them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._plain = {one for one in patterns if not _WILD.search(one)}
        wild = [fnmatch.translate(one) for one in patterns if _WILD.search(one)]
        self._wild = re.compile("|".join(wild)) if wild else None
        self.any = bool(patterns)
        """Whether anything is."""

    def __call__(self, path: str) -> bool:
        """Whether a path, or a directory above it, is left out."""
        if not self.any:
            return False
        while path not in ("/", ""):
            if path in self._plain or (self._wild is not None and self._wild.match(path)):
                return True
            path = path.rpartition("/")[0]
        return False


class Finder:
    """Follows the paths."""

    def __init__(self, mounts: Mounts, excluded: Exclusions, tally: Tally) -> None:
        self._mounts = mounts
        self._excluded = excluded
        self._tally = tally
        self._scope = Scope()
        self._done: set[tuple[str, str]] = set()

    def find(self, patterns: Sequence[str]) -> Scope:
        """The scope of some paths. May be called once."""
        for pattern in patterns:
            self._follow("/", [part for part in pattern.split("/") if part], MAX_LINKS)
        scope = self._scope
        inner = {one for one in scope.trees if one != "/" and scope.in_tree(one.rpartition("/")[0] or "/")}
        scope.trees -= inner
        scope.files = {one for one in scope.files if not scope.in_tree(one)}
        return scope

    def _follow(self, directory: str, parts: list[str], links: int) -> None:
        """One more part of a path, in a directory that has no link on its way."""
        if (directory, "/".join(parts)) in self._done or self._excluded(directory):
            return
        self._done.add((directory, "/".join(parts)))
        if len(self._done) > MAX_FOUND:
            self._tally.skip(TOO_MANY, PathText(directory, "/".join(parts)))
            return
        if not parts:
            self._scope.trees.add(directory)
            return
        mount = self._mounts.covering(directory)
        if mount is not None and (may_hang(mount) or is_network(mount)):
            self._tally.skip(coverage.NETWORK if is_network(mount) else coverage.UNRESPONSIVE, PathText(directory))
            return
        self._scope.anchors.setdefault(directory, set()).add(parts[0])
        for name in self._names(directory, parts[0]):
            self._enter(directory, name, parts[1:], links)

    def _names(self, directory: str, pattern: str) -> list[str]:
        if not _WILD.search(pattern):
            return [pattern]
        try:
            return sorted(name for name in os.listdir(directory) if fnmatch.fnmatchcase(name, pattern))
        except OSError as failure:
            coverage.failed(self._tally, PathText(directory), failure)
            return []

    def _enter(self, directory: str, name: str, rest: list[str], links: int) -> None:
        path = join(directory, name)
        mount = self._mounts.by_point.get(path)
        if mount is not None and (may_hang(mount) or is_network(mount)):
            self._tally.skip(coverage.NETWORK if is_network(mount) else coverage.UNRESPONSIVE, PathText(path))
            return
        if self._excluded(path):
            return
        try:
            mode = os.lstat(path).st_mode
        except OSError as failure:
            if failure.errno not in (errno.ENOENT, errno.ENOTDIR):
                coverage.failed(self._tally, PathText(path), failure)
            elif not rest:
                self._scope.files.add(path)  # it was there, or will be
            return
        if stat.S_ISLNK(mode):
            self._scope.files.add(path)
            self._link(directory, path, rest, links - 1)
        elif stat.S_ISDIR(mode):
            self._follow(path, rest, links)
        elif not rest:
            self._scope.files.add(path)

    def _link(self, directory: str, path: str, rest: list[str], links: int) -> None:
        if links < 0:
            self._tally.failed(coverage.DANGLING, PathText(path), "too many links")
            return
        try:
            target = os.readlink(path)
        except OSError as failure:
            coverage.failed(self._tally, PathText(path), failure)
            return
        # ".." is taken as text: the directory has no link on its way, but the target may have
        whole = os.path.normpath(target if target.startswith("/") else join(directory, target))
        self._follow("/", [glob_safe(part) for part in whole.split("/") if part] + rest, links)


def glob_safe(name: str) -> str:
    """A name that wildcards in it do not make a pattern."""
    return _WILD.sub(lambda found: f"[{found[0]}]", name)
