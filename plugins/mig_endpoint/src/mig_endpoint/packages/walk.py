"""Going through directories for packages: all below one, or those of a whole system in which packages are likely.

Links are not followed. Whatever is left out is booked. Used by ``search``.
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING

from mig_endpoint.files.doorways import mounts_below
from mig_endpoint.packages import reasons
from mig_endpoint.packages.caches import is_copy, is_run_from
from mig_endpoint.packages.folder import GONE, TooLarge
from mig_endpoint.packages.mounts import Storage, elsewhere, mount_points
from mig_endpoint.packages.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.files.mounts import Mounts
    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.site import Site

MAX_DEPTH = 40
MAX_LIKELY = 3500
"""Directories of a system that are gone into unasked, about: half a tenth of a second when they are in memory."""
NO_DIRECTORIES = frozenset({"/proc", "/sys", "/dev", "/run/user"})
"""Not gone into: nothing is installed there."""
OTHER_SYSTEMS = (
    "/agent/containerd",
    "/containers/storage",
    "/docker/overlay2",
    "/docker/volumes",
    "/lib/containerd",
    "/lib/lxc",
    "/lib/lxd",
    "/lib/machines",
    "/kubelet/pods",
)
"""Ends of paths below which other systems have their files: containers, and what they store."""
METADATA = (".dist-info", ".egg-info")
"""Directories that describe a package; the licences of others may lie in them, in directories named like these."""
# fmt: off
NEAR = frozenset((
    "app", "apps", "current", "dist-packages", "env", "envs", "gems", "home", "installation", "installs", "lib",
    "lib64", "local", "node", "node_modules", "opt", "python", "releases", "root", "ruby", "site-packages",
    "specifications", "srv", "src", "tools", "var", "vendor", "venv", ".venv", "venvs", "versions", "virtualenvs",
    "www",
))
"""Names of directories that lead to packages: they are gone into first."""
FAR = frozenset((
    ".git", ".hg", ".svn", "__pycache__", "asm", "boot", "debug", "doc", "docs", "documentation", "examples",
    "firmware", "fonts", "help", "i18n", "icons", "include", "info", "licenses", "locale", "man", "modules", "objects",
    "snap", "sounds", "terminfo", "test", "tests", "themes", "zoneinfo",
))
"""Names of directories in which packages are not expected: they come last, if there is room."""
# fmt: on
FULL = frozenset({"dist-packages", "gems", "node_modules", "site-packages"})
"""Directories of packages: what lies in their packages comes last too."""
NAMES_A_STEP = 100
"""Names in a directory that cost as much as another directory."""
_STEP = 2
_FAR_STEP = 12


class Walk:
    """Goes through directories, into each once."""

    def __init__(self, site: Site, *, most: int = MAX_LIKELY, mounts: Mounts | None = None) -> None:
        """``most`` is what :meth:`likely` may spend. ``mounts``: for tests; None: those of the system."""
        self._site = site
        self._tree = site.tree
        self._tally = site.tally
        self._most = most
        self._mounts = mount_points(mounts if mounts is not None else mounts_below(site.tree.root))
        self._elsewhere: set[str] = set()
        self.near = Tree(site.tree.root, elsewhere(self._mounts))
        """The system without what a network, or a program, has mounted."""
        self._seen: set[str] = set()
        self.spent = 0
        """Directories that :meth:`likely` has listed; who does other work for what it finds there may add to it."""

    def below(self, top: str) -> Iterator[Folder]:
        """The directory and all below it, whatever mounted file system they lie on; copies in caches are left out.

        File systems that may not answer come last, each after a call of :attr:`Site.before_waiting`.

        Raises:
            OSError: the directory itself is not there, or cannot be listed.
            RanOutOfTime: the deadline passed.
        """
        if Storage.ELSEWHERE in self._mounts.values():
            self._site.before_waiting()
        real = self._tree.real(top)
        self._tree.names(top)
        ahead = [(top, real, 0)]
        may_wait: list[tuple[str, str, int]] = []
        while ahead or may_wait:
            if not ahead:
                self._site.before_waiting()
                ahead.append(may_wait.pop())
            path, real, depth = ahead.pop()
            folder = self.enter(path, real, self._tree)
            if folder is None or (depth and is_run_from(folder)):
                continue
            yield folder
            for path, real in [folder.inner(name) for name in reversed(folder.directories)]:
                if not path.endswith(METADATA) and self._goes_into(path, depth):
                    waits = self._mounts.get(real) is Storage.ELSEWHERE
                    (may_wait if waits else ahead).append((path, real, depth + 1))

    def likely(self, homes: Iterable[str]) -> Iterator[Folder]:
        """The directories of the whole system, those first in which packages are likely; at most about
        :data:`MAX_LIKELY`.

        Left out, and booked, are those for which there was no room, file systems of the network, and the files of
        containers. ``homes`` are home directories: packages are likely there, wherever they lie.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        ahead: defaultdict[int, deque[tuple[str, str, int]]] = defaultdict(deque)
        for path in ("/", *homes):
            with contextlib.suppress(OSError):
                ahead[0].append((path, self.near.real(path), 0))
        cost = 0
        while ahead and self.spent < self._most:
            if not ahead[cost]:
                del ahead[cost]
                cost += 1
                continue
            path, real, depth = ahead[cost].popleft()
            folder = self.enter(path, real, self.near)
            if folder is None or is_run_from(folder):
                continue
            self.spent += 1 + len(folder.names) // NAMES_A_STEP
            yield folder
            step = _FAR_STEP if folder.name in FULL or _is_library(folder.name) else _STEP
            for name in folder.directories:
                path, real = folder.inner(name)
                if not name.endswith(METADATA) and self._goes_into(path, depth) and self._is_own(path, real):
                    ahead[cost + _step(name, step)].append((path, real, depth + 1))
        self._book_left([path for queue in ahead.values() for path, real, _ in queue if real not in self._seen])

    def enter(self, path: str, real: str, tree: Tree) -> Folder | None:
        """The directory, listed; None when it was entered before, holds copies or cannot be listed.

        Raises:
            RanOutOfTime: the deadline passed.
        """
        self._site.check_time()
        if real in self._seen:
            return None
        self._seen.add(real)
        try:
            folder = tree.folder_at(path, real)
        except TooLarge:
            self._tally.failed(reasons.TOO_LARGE, path, "has too many entries")
            return None
        except OSError as error:
            if error.errno == errno.EREMOTE:
                self.book_elsewhere(error)
            elif error.errno not in GONE:
                self._tally.failed(reasons.UNREADABLE, path, error.strerror or str(error))
            return None
        self._tally.examined("directories")
        if is_copy(folder):
            self._tally.skip(reasons.NOT_INSTALLED, path)
            return None
        return folder

    def _goes_into(self, path: str, depth: int) -> bool:
        if depth < MAX_DEPTH:
            return path not in NO_DIRECTORIES
        self._tally.skip(reasons.DEPTH, path)
        return False

    def book_elsewhere(self, error: OSError) -> None:
        """Books, once, a mount point at which :attr:`near` stopped."""
        if error.filename not in self._elsewhere:
            self._elsewhere.add(error.filename)
            self._tally.skip(reasons.NETWORK, error.filename)

    def _is_own(self, path: str, real: str) -> bool:
        if path.endswith(OTHER_SYSTEMS):
            self._tally.skip(reasons.OTHER_SYSTEM, path)
            return False
        return self._mounts.get(real) is not Storage.PSEUDO

    def _book_left(self, left: list[str]) -> None:
        """Books directories by what they have in common, the most first."""
        groups = Counter("/".join(path.split("/", 3)[:3]) for path in left)
        for group, count in sorted(groups.items(), key=lambda item: (-item[1], item[0])):
            self._tally.skip(reasons.NOT_WALKED, group, count=count)


def _step(name: str, usual: int) -> int:
    """How much later a directory comes than the one above it."""
    if name in NEAR or _is_library(name):
        return 0
    return _FAR_STEP if name in FAR else usual


def _is_library(name: str) -> bool:
    """Whether this is Python's own (``python3.11``): packages lie in few of the directories in it."""
    return name.startswith(("python2", "python3", "pypy"))
