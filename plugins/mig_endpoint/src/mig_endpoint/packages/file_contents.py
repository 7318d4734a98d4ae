"""Whether a file still has the content that its package brought: by dpkg's sums and apk's. For whoever asks that.

dpkg keeps MD5 sums of what it installed (``info/*.md5sums``), and of configuration files in ``status``; apk keeps SHA-1
(``Z:Q1…``, apk-installed(5)). MD5 is enough to tell a change by chance or upgrade; who can make a collision with a
package's file could also change the list. Others (pacman, rpm) are not read: not known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass
from mig_endpoint import coverage
from mig_endpoint.packages.file_owners import APK, DPKG, MAX_DATABASE, MAX_LIST, aliases
from mig_endpoint.packages.folder import GONE, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_endpoint.packages.site import Site

MAX_FILE = 1 << 30
_STATUS = re.compile(rb"^Package: ([^\n]*)$|^Conffiles:[^\n]*\n((?:[ \t][^\n]*\n?)*)", re.MULTILINE)
NO_SUM = Reason("file whose package keeps no sum of it that is read here")


@dataclass(frozen=True, slots=True)
class _Sum:
    algorithm: str
    digest: str


def changed(site: Site, owned: Mapping[str, str]) -> dict[str, bool | None]:
    """Whether each file differs from what its package brought; None where that is not known, which is booked.

    Args:
        site: the system.
        owned: path -> its package, as :func:`mig_endpoint.packages.file_owners.owners` gives it.

    Raises:
        RanOutOfTime: the deadline passed.
    """
    sums = _Sums(site, set(owned.values()))
    found: dict[str, bool | None] = {}
    for path, package in owned.items():
        site.check_time()
        expected = sums.of(path, package)
        if expected is None:
            site.tally.skip(NO_SUM, path)
            found[path] = None
        else:
            digest = _digest(site, path, expected.algorithm)
            found[path] = None if digest is None else digest != expected.digest
    return found


def _digest(site: Site, path: str, algorithm: str) -> str | None:
    running = hashlib.new(algorithm, usedforsecurity=False)
    try:
        for piece in site.tree.chunks(path, MAX_FILE):
            running.update(piece)
            site.check_time()
    except TooLarge:
        site.tally.skip(coverage.FULL, path)
        return None
    except OSError as error:
        coverage.failed(site.tally, path, error)
        return None
    return running.hexdigest()


class _Sums:
    """What the databases say of files of some packages."""

    def __init__(self, site: Site, packages: set[str]) -> None:
        self._site = site
        self._packages = packages
        self._by_package: dict[str, dict[str, _Sum]] = {}
        self._lists = self._names()
        self._conffiles()
        self._apk()

    def of(self, path: str, package: str) -> _Sum | None:
        """The sum of a file."""
        known = self._by_package.setdefault(package, {})
        for name in self._lists.pop(package, ()):
            self._list(name, known)
        return next((known[one] for one in aliases(path) if one in known), None)

    def _names(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        try:
            names = self._site.tree.names(f"{DPKG}/info")
        except (OSError, TooLarge):
            return found
        for name in names:
            package = name.removesuffix(".md5sums").partition(":")[0]
            if name.endswith(".md5sums") and package in self._packages:
                found.setdefault(package, []).append(name)
        return found

    def _read(self, path: str, limit: int) -> bytes:
        try:
            return self._site.tree.head(path, limit)
        except OSError as error:
            if error.errno not in GONE:
                coverage.failed(self._site.tally, path, error)
            return b""

    def _list(self, name: str, known: dict[str, _Sum]) -> None:
        for line in self._read(f"{DPKG}/info/{name}", MAX_LIST).split(b"\n"):
            if len(line) > 34:
                path = "/" + line[34:].decode("utf-8", "surrogateescape")
                known.setdefault(path, _Sum("md5", line[:32].decode("ascii", "replace")))

    def _conffiles(self) -> None:
        """``Conffiles:`` of the status file: ``/path sum`` a line, perhaps ``obsolete`` behind it."""
        package = ""
        for found in _STATUS.finditer(self._read(f"{DPKG}/status", MAX_DATABASE)):
            if found[1] is not None:
                package = found[1].decode("utf-8", "replace").strip()
            elif package in self._packages:
                for line in found[2].split(b"\n"):
                    self._conffile(package, line.split())

    def _conffile(self, package: str, words: list[bytes]) -> None:
        if len(words) >= 2 and len(words[1]) == 32:
            path = words[0].decode("utf-8", "surrogateescape")
            self._by_package.setdefault(package, {})[path] = _Sum("md5", words[1].decode("ascii", "replace"))

    def _apk(self) -> None:
        for database in self._site.tree.distinct(APK):
            for record in self._read(database, MAX_DATABASE).split(b"\n\n"):
                self._apk_record(record.split(b"\n"))

    def _apk_record(self, lines: Iterable[bytes]) -> None:
        known: dict[str, _Sum] | None = None
        folder = path = ""
        for line in lines:
            text = line[2:].decode("utf-8", "surrogateescape")
            if line.startswith(b"P:"):
                known = self._by_package.setdefault(text, {}) if text in self._packages else None
            elif line.startswith(b"F:"):
                folder = f"/{text}" if text else ""
            elif line.startswith(b"R:"):
                path = f"{folder}/{text}"
            elif line.startswith(b"Z:Q1") and known is not None:
                try:
                    known[path] = _Sum("sha1", base64.b64decode(text[2:], validate=True).hex())
                except (binascii.Error, ValueError):
                    continue
