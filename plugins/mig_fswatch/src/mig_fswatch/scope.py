"""What is watched: patterns, found on this endpoint.

A pattern ends in what it stands for, as in ``mig_endpoint/places/places.toml``: ``/a/b`` is one entry, ``/a/b/`` each
entry of a directory, ``/a/b/**`` a directory with everything below (or a file); ``*``, ``?`` and ``[…]`` are characters
of one name, ``~`` is every account's home directory.

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
from mig_endpoint.packages.accounts import home_directories
from mig_endpoint.packages.tree import Tree
from mig_endpoint.places.place import Reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.mounts import Mount, Mounts
    from mig_fswatch.marks import Marks

MAX_LINKS = 20
MAX_FOUND = 100_000
"""Paths that all patterns together may stand for."""
TOO_MANY = Reason("more paths than are watched")
HOMES = "/home"
KERNELS_OWN = Reason("file system that the kernel makes up", as_asked=True)
_MADE_UP = frozenset((
    "proc", "sysfs", "cgroup", "cgroup2", "devpts", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "fusectl",
    "mqueue", "hugetlbfs", "pstore", "efivarfs", "binfmt_misc", "autofs", "nsfs", "rpc_pipefs", "selinuxfs",
))  # fmt: skip
_NO_TREES = ("/", "/bin", "/sbin", "/usr/sbin", "/usr/bin", "/dev", "/etc")
"""Homes of the system's own accounts, which are not gone through as homes."""
_WILD = re.compile(r"[*?\[]")
_SAFE = re.compile(r"\[([*?\[])\]")


def why_not(mount: Mount | None) -> Reason | None:
    """Why a mount is not watched; None if it is."""
    if mount is None:
        return None
    if mount.kind in _MADE_UP:
        return KERNELS_OWN
    if is_network(mount):
        return coverage.NETWORK
    return coverage.UNRESPONSIVE if may_hang(mount) else None


@dataclass(slots=True)
class Scope:
    """What the paths lead to, at one moment."""

    trees: set[str] = field(default_factory=set)
    """Directories that are watched with everything below them; none lies in another."""
    flats: set[str] = field(default_factory=set)
    """Directories whose entries are watched, but not what is in these."""
    files: set[str] = field(default_factory=set)
    """Single entries: files, and links on the way."""
    links: set[str] = field(default_factory=set)
    """Those that are links on the way."""
    anchors: dict[str, set[str]] = field(default_factory=dict)
    """Directory -> names (perhaps with wildcards) that matter there."""
    homes: bool = False
    """Whether it depends on which accounts there are."""

    def covers(self, path: str) -> bool:
        """Whether an entry is watched."""
        return path in self.files or (path.rpartition("/")[0] or "/") in self.flats or self.in_tree(path)

    def in_tree(self, path: str) -> bool:
        """Whether an entry is, or lies in, a directory that is watched with everything below."""
        if not self.trees:
            return False
        while path not in self.trees:
            if path in ("/", ""):
                return False
            path = path.rpartition("/")[0] or "/"
        return True

    def anchors_at(self, directory: str, name: str) -> bool:
        """Whether a name in a directory is part of a way to something."""
        patterns = self.anchors.get(directory, ())
        return name in patterns or any(fnmatch.fnmatchcase(name, one) for one in patterns)

    def mark_anchors(self, marks: Marks, tally: Tally) -> None:
        """Watches the directories on the way: their names, and what is written into files that are watched there."""
        with_files = {one.rpartition("/")[0] or "/" for one in self.files - self.links}
        for directory, patterns in self.anchors.items():
            plain = None if any(_WILD.search(one) for one in patterns) else frozenset(patterns)
            marks.add(directory, tally, names_only=directory not in with_files, names=plain)


class Exclusions:
    """Paths that are left out, with everything below them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._plain = {one for one in patterns if not _WILD.search(one)}
        wild = [fnmatch.translate(one) for one in patterns if _WILD.search(one)]
        self._wild = re.compile("|".join(wild)) if wild else None
        self.any = bool(patterns)
        """Whether anything is."""

    def name(self, path: str) -> bool:
        """Whether a path is left out by itself; for who has asked about the directory above."""
        return self.any and (path in self._plain or (self._wild is not None and self._wild.match(path) is not None))

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
        self._done: set[tuple[str, str, Reach]] = set()
        self._homes: list[str] | None = None

    def find(self, patterns: Sequence[str]) -> Scope:
        """The scope of some paths. May be called once."""
        for pattern in patterns:
            path, reach = reach_of(pattern)
            for start in self._starts(path):
                self._follow("/", _parts(start) + _parts(path.removeprefix("~")), reach, MAX_LINKS)
        scope = self._scope
        inner = {one for one in scope.trees if one != "/" and scope.in_tree(one.rpartition("/")[0] or "/")}
        scope.trees -= inner
        scope.flats = {one for one in scope.flats if not scope.in_tree(one)}
        scope.files = {one for one in scope.files if not scope.in_tree(one)}
        return scope

    def _starts(self, path: str) -> list[str]:
        """Where a path begins: at the root, or in each home."""
        if not path.startswith("~"):
            return ["/"]
        if self._homes is None:
            self._scope.anchors.setdefault(HOMES, set()).add("*")
            self._scope.anchors.setdefault("/etc", set()).add("passwd")
            self._scope.homes = True
            self._homes = []
            shunned = frozenset(one.point for one in self._mounts.all if why_not(one))
            for home in home_directories(Tree("/", shunned)):
                if isinstance(home, OSError):
                    coverage.failed(self._tally, PathText(home.filename or "/etc/passwd"), home)
                else:
                    self._homes.append(glob_safe(home))
        return [one for one in self._homes if path != "~" or one not in _NO_TREES]

    def _follow(self, directory: str, parts: list[str], reach: Reach, links: int) -> None:
        """One more part of a path, in a directory that has no link on its way."""
        step = (directory, "/".join(parts), reach)
        if step in self._done or self._excluded(directory):
            return
        self._done.add(step)
        if len(self._done) > MAX_FOUND:
            self._tally.skip(TOO_MANY, PathText(directory, "/".join(parts)))
            return
        if not parts:
            self._end(directory, reach)
            return
        if why := why_not(self._mounts.covering(directory)):
            self._tally.skip(why, PathText(directory))
            return
        self._scope.anchors.setdefault(directory, set()).add(parts[0])
        for name in self._names(directory, parts[0]):
            self._enter(directory, name, parts[1:], reach, links)

    def _end(self, directory: str, reach: Reach) -> None:
        if reach is Reach.BELOW:
            self._scope.trees.add(directory)
            return
        self._scope.files.add(directory)
        if reach is Reach.ENTRIES:
            self._scope.flats.add(directory)

    def _names(self, directory: str, pattern: str) -> list[str]:
        plain = _SAFE.sub(r"\1", pattern)
        if not _WILD.search(plain) or glob_safe(plain) == pattern:
            return [plain]
        try:
            return sorted(name for name in os.listdir(directory) if fnmatch.fnmatchcase(name, pattern))
        except OSError as failure:
            coverage.failed(self._tally, PathText(directory), failure)
            return []

    def _enter(self, directory: str, name: str, rest: list[str], reach: Reach, links: int) -> None:
        path = join(directory, name)
        if why := why_not(self._mounts.by_point.get(path)):
            self._tally.skip(why, PathText(path))
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
            self._scope.links.add(path)
            self._link(directory, path, rest, reach, links - 1)
        elif stat.S_ISDIR(mode):
            self._follow(path, rest, reach, links)
        elif not rest:
            self._scope.files.add(path)

    def _link(self, directory: str, path: str, rest: list[str], reach: Reach, links: int) -> None:
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
        self._follow("/", [glob_safe(part) for part in _parts(whole)] + rest, reach, links)


def reach_of(pattern: str) -> tuple[str, Reach]:
    """The path of a pattern, and what it stands for."""
    if pattern.endswith("/**"):
        return pattern.removesuffix("/**"), Reach.BELOW
    if pattern.endswith("/"):
        return pattern.rstrip("/"), Reach.ENTRIES
    return pattern, Reach.FILE


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def glob_safe(name: str) -> str:
    """A name that wildcards in it do not make a pattern."""
    return _WILD.sub(lambda found: f"[{found[0]}]", name)
