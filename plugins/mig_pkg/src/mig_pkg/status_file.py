"""The records of dpkg's status file (deb-control(5), dpkg-query(1)) and what their states mean. Used by ``dpkg``."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.packages.search import MAX_PACKAGES
from mig_pkg import reasons
from mig_pkg.package import Package, is_usable, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.coverage import Tally

PRESENT = frozenset(
    {"installed", "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"}
)
"""States in which files of the package are on disk; not ``config-files`` and ``not-installed``."""
_FIELD = re.compile(
    rb"^(package|status|architecture|multi-arch|version|source):[ \t]*([^\n]*)", re.IGNORECASE | re.MULTILINE
)
_AS_WRITTEN = tuple(
    (name.lower(), b"\n" + name + b":")
    for name in (b"Package", b"Status", b"Architecture", b"Multi-Arch", b"Version", b"Source")
)
_ALWAYS = (b"package", b"status", b"architecture", b"version")
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?")
_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "i386",
    "armv7l": "armhf",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}

Fields = dict[bytes, bytes]


class StatusFile:
    """Collects records, as dpkg takes them (dpkg 1.21, ``lib/dpkg/parse.c``).

    A record in an update replaces an earlier one of the same package and architecture, and so does a later one in the
    same file where both are ``Multi-Arch: same`` or the earlier one is not installed. Any other repetition makes dpkg
    refuse the whole file; here both count, and the answer says that it is not dpkg's.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._found: dict[tuple[str, str], _Record] = {}
        self._repeated: list[_Record] = []
        self.own_architecture = ""
        """That of the package dpkg itself: the one whose name needs no architecture."""

    @property
    def count(self) -> int:
        """How many packages there are, present or not."""
        return len(self._found)

    def add(self, record: bytes, where: str, *, is_distroless: bool = False, may_fail: bool = False) -> None:
        """Takes a record in.

        Args:
            where: the file it is from.
            is_distroless: it has no Status, because what is listed there is installed.
            may_fail: keep quiet about what is no record.
        """
        read = _read(record, where, is_distroless=is_distroless)
        if read is None:
            if not may_fail:
                self._tally.skip(reasons.DAMAGED, where)
            return
        key = (read.name, read.arch)
        earlier = self._found.get(key)
        if earlier is None and len(self._found) + len(self._repeated) >= MAX_PACKAGES:
            self._tally.skip(reasons.TOO_MANY, where)
            return
        if earlier is not None and not read.may_replace(earlier):
            self._tally.failed(
                reasons.REPEATED, where, f"{read.name} stands there twice; dpkg refuses to read this file"
            )
            self._repeated.append(earlier)
        if not read.is_sound:
            self._tally.failed(reasons.DAMAGED, where, f"{read.name} has a status that dpkg refuses")
        self._found[key] = read
        if read.name == "dpkg" and read.state == "installed":
            self.own_architecture = read.arch

    def packages(self, native: str) -> Iterator[Package]:
        """Those present, sorted by name; ``native`` is the architecture that goes without saying."""
        for record in sorted((*self._found.values(), *self._repeated), key=lambda one: (one.name, one.arch)):
            if record.state in PRESENT:
                yield record.package(native)


class _Record:
    """What matters of one record."""

    __slots__ = ("arch", "is_same", "is_sound", "name", "reinstall", "selection", "source", "state", "version", "where")

    def __init__(
        self, name: str, arch: str, version: str, states: list[str], source: str, where: str, *, is_same: bool
    ) -> None:
        self.name = name
        self.arch = arch
        self.version = version
        self.selection, error, self.state = states
        self.reinstall = error == "reinstreq"
        self.is_sound = error in ("ok", "reinstreq")
        """Whether dpkg takes its second word; old versions wrote ``hold`` and ``hold-reinstreq``."""
        self.source = source
        self.where = where
        self.is_same = is_same

    def may_replace(self, earlier: _Record) -> bool:
        """Whether dpkg takes this record in the place of an earlier one of the same package and architecture."""
        return self.where != earlier.where or (self.is_same and earlier.is_same) or earlier.state == "not-installed"

    def package(self, native: str) -> Package:
        """The package as ``dpkg -l`` names it: with its architecture if others may be there beside it."""
        needs_arch = self.is_same or self.arch not in ("", "all", native)
        source = _SOURCE.fullmatch(self.source)
        return Package(
            name=f"{self.name}:{self.arch}" if needs_arch and self.arch else self.name,
            plain=self.name,
            version=self.version,
            type="dpkg",
            arch=self.arch,
            source=source[1] if source else self.name,
            sourceversion=(source[2] if source else "") or self.version,
            state=self.state,
            selection="" if self.selection == "install" else self.selection,
            reinstall=self.reinstall,
        )


def machine_architecture() -> str:
    """Debian's word for the endpoint's processor; empty when unknown."""
    return _MACHINES.get(os.uname().machine, "")


def _read(record: bytes, where: str, *, is_distroless: bool) -> _Record | None:
    get = _fields(record).get
    name, arch, version = text(get(b"package", b"")), text(get(b"architecture", b"")), text(get(b"version", b""))
    states = text(get(b"status", b"install ok installed" if is_distroless else b"")).split()
    if len(states) != 3 or not is_usable(name, version, arch):
        return None
    if not version and states[2] in PRESENT and states[2] != "half-installed":
        return None
    source = text(get(b"source", b""))[:500]
    return _Record(name, arch, version, states, source, where, is_same=get(b"multi-arch", b"").lower() == b"same")


def _fields(record: bytes) -> Fields:
    """The fields of interest, in lower case; looked for as dpkg writes them first, because that is much faster."""
    lines = b"\n" + record + b"\n"
    fields: Fields = {}
    for name, start in _AS_WRITTEN:
        place = lines.find(start)
        if place >= 0:
            place += len(start)
            fields[name] = lines[place : lines.find(b"\n", place)].strip()
    if all(name in fields for name in _ALWAYS):
        return fields
    return {found[1].lower(): found[2].rstrip() for found in _FIELD.finditer(record)}
