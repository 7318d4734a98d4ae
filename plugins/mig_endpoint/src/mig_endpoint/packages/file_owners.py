"""Which package owns a file, by the file lists of dpkg, apk, pacman and rpm. For whoever asks who brought something.

"None" is said only where every database was read: what a list that cannot be read might own is not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage
from mig_endpoint.packages import rpm_owners
from mig_endpoint.packages.folder import GONE, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.packages.site import Site

DPKG = "/var/lib/dpkg"
APK = ("/usr/lib/apk/db/installed", "/lib/apk/db/installed")
PACMAN = "/var/lib/pacman/local"
MAX_LIST = 64 << 20
MAX_DATABASE = 256 << 20
UNKNOWN = Reason("owner of a file is not known: a list of a package could not be read")
UNREAD = Reason("owner of a file is not known: an rpm database of a form that is not read here")
NO_DATABASE = Reason("owner of a file is not known: no package database found")
MERGED = re.compile(r"(/usr)?(/(?:bin|sbin|lib|lib32|lib64|libx32|libo32)/.*)", re.DOTALL)
"""Folders that are one where ``/usr`` is merged; lists name either."""


def owners(site: Site, paths: Iterable[str]) -> dict[str, str | None]:
    """The package of each path; an empty text for none, None for not known, which is booked.

    Raises:
        RanOutOfTime: the deadline passed.
    """
    search = _Search(site, frozenset(paths))
    search.dpkg()
    search.apk()
    search.pacman()
    search.rpm()
    return search.result()


def aliases(path: str) -> tuple[str, ...]:
    """A path, and its other name where ``/usr`` is merged."""
    fits = MERGED.fullmatch(path)
    if fits is None:
        return (path,)
    return (path, fits[2] if fits[1] else f"/usr{path}")


class _Search:
    """One search for the owners of some paths."""

    def __init__(self, site: Site, paths: frozenset[str]) -> None:
        self._site = site
        self._paths = paths
        self._wanted: dict[bytes, set[str]] = {}
        """What a list may call a path -> the paths."""
        for path in paths:
            for alias in aliases(path):
                self._want(alias, path)
        self._diverted: dict[bytes, tuple[bytes, str]] = {}
        """Name of a diverted file -> where it went, and the package that diverts it."""
        self._found: dict[str, str] = {}
        self._reason: Reason | None = None
        self._databases = 0

    def _want(self, name: str, path: str) -> None:
        self._wanted.setdefault(name.encode("utf-8", "surrogateescape"), set()).add(path)

    def result(self) -> dict[str, str | None]:
        """What was found; books what stays unknown."""
        if not self._databases:
            self._reason = NO_DATABASE
        missing = [path for path in self._paths if path not in self._found]
        if self._reason is not None and missing:
            self._site.tally.skip(self._reason, missing[0], count=len(missing))
        nobody = None if self._reason is not None else ""
        return {path: self._found.get(path, nobody) for path in self._paths}

    def _read(self, path: str, limit: int) -> bytes | None:
        """A list; None when it is not there, or cannot be read, which leaves owners unknown."""
        try:
            content = self._site.tree.head(path, limit + 1)
        except OSError as error:
            if error.errno not in GONE:
                coverage.failed(self._site.tally, path, error)
                self._reason = UNKNOWN
            return None
        if len(content) > limit:
            self._reason = UNKNOWN
        return content

    def _names(self, path: str) -> list[str]:
        try:
            return self._site.tree.names(path)
        except TooLarge:
            self._reason = UNKNOWN
        except OSError as error:
            if error.errno not in GONE:
                coverage.failed(self._site.tally, path, error)
                self._reason = UNKNOWN
        return []

    def _take(self, names: Iterable[bytes], package: str) -> None:
        """Notes that a package has these files."""
        for name in self._wanted.keys() & names:
            self._owns(name, package)

    def _owns(self, name: bytes, package: str) -> None:
        moved = self._diverted.get(name)
        if moved is not None and moved[1] != package:
            name = moved[0]  # another package diverts it: this one's lies elsewhere
        for path in self._wanted.get(name, ()):
            self._found.setdefault(path, package)

    def dpkg(self) -> None:
        """dpkg's ``info/*.list`` with its diversions; ``status.d`` of images without dpkg."""
        lists = [one for one in self._names(f"{DPKG}/info") if one.endswith(".list")]
        if lists:
            self._diversions()
        for place, name in enumerate(lists):
            if place % 64 == 0:
                self._site.check_time()
            content = self._read(f"{DPKG}/info/{name}", MAX_LIST)
            if content is not None:
                self._databases = 1
                self._take(content.split(b"\n"), name.removesuffix(".list").partition(":")[0])
        if not lists and self._site.tree.exists(f"{DPKG}/status"):
            self._databases, self._reason = 1, UNKNOWN
        for name in self._names(f"{DPKG}/status.d"):
            content = self._read(f"{DPKG}/status.d/{name}", MAX_LIST) if name.endswith(".md5sums") else None
            if content is not None:
                self._databases = 1
                self._take((b"/" + line[34:] for line in content.split(b"\n") if len(line) > 34), name[:-8])

    def _diversions(self) -> None:
        """``diversions``: three lines each, the name, where it goes, and whose diversion it is (``:`` is local)."""
        lines = (self._read(f"{DPKG}/diversions", MAX_LIST) or b"").split(b"\n")
        for name, moved, package in zip(lines[::3], lines[1::3], lines[2::3], strict=False):
            self._diverted[name] = (moved, package.decode("utf-8", "replace"))
            if moved in self._wanted:
                self._wanted.setdefault(name, set())

    def apk(self) -> None:
        """apk's ``installed``: ``P:`` a package, ``F:`` a folder, ``R:`` a file in it (apk-installed(5))."""
        for database in self._site.tree.distinct(APK):
            content = self._read(database, MAX_DATABASE)
            if content is None:
                continue
            self._databases = 1
            for record in content.split(b"\n\n"):
                self._site.check_time()
                package, names = _apk_files(record)
                self._take(names, package)

    def pacman(self) -> None:
        """pacman's ``local/*/files``."""
        for name in self._names(PACMAN):
            self._site.check_time()
            content = self._read(f"{PACMAN}/{name}/files", MAX_LIST) if name != "ALPM_DB_VERSION" else None
            if content is not None:
                self._databases = 1
                files = content.partition(b"%FILES%\n")[2].partition(b"\n\n")[0]
                self._take((b"/" + one for one in files.split(b"\n")), name.rsplit("-", 2)[0])

    def rpm(self) -> None:
        """rpm's database, where it is of the sqlite form."""
        for package, names in rpm_owners.file_lists(self._site):
            if names is None:
                self._databases, self._reason = 1, UNREAD
            else:
                self._databases = 1
                self._take(names, package)


def _apk_files(record: bytes) -> tuple[str, Iterator[bytes]]:
    package = ""
    names: list[bytes] = []
    folder = b""
    for line in record.split(b"\n"):
        if line.startswith(b"P:"):
            package = line[2:].decode("utf-8", "replace")
        elif line.startswith(b"F:"):
            folder = b"/" + line[2:] if line[2:] else b""
        elif line.startswith(b"R:"):
            names.append(folder + b"/" + line[2:])
    return package, iter(names)
