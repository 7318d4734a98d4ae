"""An indicator: one thing to look for, and where it was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(StrEnum):
    """What a value is."""

    HASH = "hash"
    PATH = "path"
    FILE_NAME = "file name"
    FILE_PATTERN = "file name pattern"
    SIZE = "file size"
    FOLDER = "folder"
    ADDRESS = "address"
    PORT = "port"
    DOMAIN = "domain"
    URL = "url"
    PROCESS = "process"
    COMMAND_LINE = "command line"
    SSH_KEY = "ssh key"
    ACCOUNT = "account"
    PACKAGE = "package"
    SOURCE = "source package"
    """What packages were built from; distributions' advisories name that."""
    VERSION = "package version"
    ECOSYSTEM = "package ecosystem"
    YARA = "yara rules"
    OTHER = "other"


class Term(NamedTuple):
    """A kind and a value."""

    kind: Kind
    value: str
    """In its usual form: hashes in lower case, addresses as :mod:`ipaddress` writes them."""


_BESIDE = frozenset({Kind.SIZE, Kind.FOLDER, Kind.PORT, Kind.VERSION, Kind.ECOSYSTEM, Kind.OTHER})
"""What nobody can be asked for by itself."""
_ORDER = list(Kind)


def in_order(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Each once, the most telling first; what nobody can be asked for by itself comes last."""
    return tuple(sorted(set(terms), key=lambda term: (term.kind in _BESIDE, _ORDER.index(term.kind), term.value)))


@dataclass(frozen=True, slots=True)
class Indicator:
    """What a document says is a sign of something."""

    terms: tuple[Term, ...]
    """All of them together; the first is what is asked for."""
    source: str
    """The document."""
    name: str = ""
    """What the document calls it: an id, a title."""
    confidence: str = ""
    labels: tuple[str, ...] = ()
    note: str = ""
    """What was lost on the way here."""
    refused: str = ""
    """Why it cannot be asked; empty if it can."""

    @property
    def kind(self) -> Kind:
        """Of what is asked for."""
        return self.terms[0].kind

    @property
    def value(self) -> str:
        """What is asked for."""
        return self.terms[0].value

    @property
    def text(self) -> str:
        """For people."""
        rest = "".join(f" and {term.kind} {term.value}" for term in self.terms[1:])
        value = self.value if self.kind is not Kind.YARA else self.name
        return f"{self.kind} {value[:200]}{rest}"

    def refuse(self, why: str) -> Indicator:
        """The same, not to be asked."""
        return replace(self, refused=self.refused or why)


class DocumentError(ValueError):
    """A document cannot be read; the text says why."""
