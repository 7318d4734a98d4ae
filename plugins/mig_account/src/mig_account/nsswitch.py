"""Which sources name services use, by nsswitch.conf(5): those that are files are read, the others said and booked.

A source that may ask the network is never asked: a question to an endpoint must not be seen there, nor wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account.colon import Library
from mig_account.ground import text_of
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

SERVICES = "services"
NOT_ASKED = Reason("name service that is not asked: it has more than files, perhaps on the network")
PATHS = ("/etc/nsswitch.conf", "/usr/etc/nsswitch.conf")
DEFAULTS = {"passwd": "files", "group": "files", "shadow": "files", "gshadow": "files", "sudoers": "files"}
"""Of glibc 2.34 and later, and of sudo, where the file does not say."""
SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one source; empty for what it does not have."""

    passwd: str
    group: str
    shadow: str = ""
    gshadow: str = ""


SOURCES = {
    "files": Files("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"),
    "altfiles": Files("/usr/lib/passwd", "/usr/lib/group"),
    "extrausers": Files("/var/lib/extrausers/passwd", "/var/lib/extrausers/group", "/var/lib/extrausers/shadow"),
    "cache_oslogin": Files("/etc/oslogin_passwd.cache", "/etc/oslogin_group.cache"),
}
"""Sources that are files of colons: of glibc, nss_altfiles, libnss-extrausers, Google's guest agent."""
SOURCES["compat"] = SOURCES["files"]
_LOADERS = ("/lib/ld-linux*", "/lib64/ld-linux*", "/lib/ld64.so*", "/lib/*/ld-linux*", "/lib64/ld64.so*")
_MUSL = ("/lib/ld-musl-*",)
_PROGRAMS = ("/bin/sh", "/bin/login", "/usr/bin/id", "/bin/busybox")
"""Whose loader (PT_INTERP of elf(5), in the first bytes) tells the library that the system is made with."""
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Switch:
    """The databases and their services, in order."""

    path: str
    """Where it says so; empty where nothing does."""
    databases: dict[str, list[str]]
    library: Library

    def services(self, database: str) -> list[str]:
        """The services of a database, without actions between them."""
        named = self.databases.get(database, DEFAULTS.get(database, "").split())
        return [one for one in named if not one.startswith("[")]

    def file_sources(self, database: str) -> list[str]:
        """Those whose files are read here, in order."""
        return [one for one in dict.fromkeys(self.services(database)) if one in SOURCES or one == SYSTEMD]

    def book(self, ground: Ground, databases: Iterable[str]) -> None:
        """Books the services that are not looked at; ``compat`` is files, unless these have entries for it."""
        for database in databases:
            for service in self.services(database):
                if service not in SOURCES and service != SYSTEMD:
                    ground.tally.skip(NOT_ASKED, f"{database}: {service}")

    def rows(self) -> Iterator[dict[str, Cell]]:
        """A row for each database that has to do with accounts."""
        for name in (*DEFAULTS, "initgroups", "netgroup", "subid"):
            services = self.databases.get(name, DEFAULTS.get(name, "").split())
            if services:
                yield {"what": SERVICES, "name": name, "services": services, "path": self.path}


def read_switch(ground: Ground) -> Switch:
    """What the system says."""
    library = _library(ground)
    if library is Library.MUSL:
        return Switch("", {one: ["files"] for one in DEFAULTS}, library)
    for path in PATHS:
        if ground.status_or_none(path) is not None:
            databases: dict[str, list[str]] = {}
            for _, line in ground.lines(path):
                name, colon, rest = text_of(line).partition("#")[0].partition(":")
                if colon:
                    databases.setdefault(name.strip(), _services(rest))
            return Switch(path, databases, library)
    return Switch("", {}, library)


def _services(text: str) -> list[str]:
    return text.replace("[", " [").replace("]", "] ").split()[:100]


def _library(ground: Ground) -> Library:
    """The C library whose loader is there; where both are (gcompat on Alpine), the one that programs name."""
    musl = any(isinstance(one, str) for one in ground.tree.expand(_MUSL))
    if not musl:
        return Library.GLIBC
    if any(isinstance(one, str) for one in ground.tree.expand(_LOADERS)):
        for program in _PROGRAMS:
            try:
                head = ground.tree.head(program, _HEAD)
            except OSError:
                continue
            if b"/ld-musl-" in head or b"/ld-linux" in head or b"/ld64.so" in head:
                return Library.MUSL if b"/ld-musl-" in head else Library.GLIBC
        return Library.GLIBC
    return Library.MUSL
