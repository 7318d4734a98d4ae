"""One installed package, as every source gives it and as a row of the answer shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.records import dataclass, replace

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

MAX_NAME = 500
MAX_VERSION = 500
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_EXTRAS = ("ecosystem", "source", "sourceversion", "state", "selection", "reinstall", "path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package. What a source does not know is empty."""

    name: str
    """As its package manager lists it: ``libc6:amd64``."""
    plain: str
    """The name without an architecture: ``libc6``."""
    version: str
    type: str
    arch: str = ""
    ecosystem: str = ""
    """The type of packages whose names and versions these are, where the row's own type only says who names them."""
    source: str = ""
    """The source package it was built from."""
    sourceversion: str = ""
    state: str = ""
    """dpkg's word: ``installed``, ``half-installed``, …"""
    selection: str = ""
    """dpkg's word for what is to become of it, when that is not ``install``: ``hold``, ``deinstall``, …"""
    reinstall: bool = False
    """Whether dpkg says that it is broken and must be installed again."""
    path: str = ""
    """Where it was found, for those that no system-wide database knows."""

    @property
    def rules(self) -> str:
        """The type by whose rules its version is compared."""
        return self.ecosystem or self.type

    def of_source(self) -> Package:
        """The same, with the version of what it was built from. The name of rpm's source packages lacks the epoch."""
        known = self.sourceversion if self.type != "rpm" else ""
        return replace(self, version=known) if known else self

    def row(self) -> dict[str, JSON]:
        """Its row in an answer: the original's four keys first, then the others that say something."""
        row: dict[str, JSON] = {"name": self.name, "version": self.version, "type": self.type, "arch": self.arch}
        for key in _EXTRAS:
            value = getattr(self, key)
            if value:
                row[key] = value
        return row


def is_usable(name: str, version: str, arch: str = "") -> bool:
    """Whether these can be the name, version and architecture of a package; hostile databases contain others."""
    return (
        0 < len(name) <= MAX_NAME
        and len(version) <= MAX_VERSION
        and len(arch) <= MAX_VERSION
        and not _UNUSABLE.search(f"{name}{version}{arch}")
    )


def text(raw: bytes) -> str:
    """Text of a database. Bytes that are not UTF-8 become U+FFFD, as in the original's answers."""
    return raw.decode("utf-8", "replace")
