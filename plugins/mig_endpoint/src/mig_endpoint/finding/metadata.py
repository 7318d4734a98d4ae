"""Checks that need no content: on the status of an entry, and on its attributes.

``slots`` holds them, ``inspection`` and ``entries`` ask them.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Literal

from mig_core.records import dataclass, field
from mig_endpoint.files import attributes
from mig_endpoint.files.interruptions import Unreadable
from mig_endpoint.finding import expressions, reasons
from mig_endpoint.finding.check import Check
from mig_endpoint.finding.names import NameBatch

if TYPE_CHECKING:
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.finding.hits import AnyStatus
    from mig_endpoint.finding.patterns import Pattern

KINDS = {
    "f": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "s": stat.S_IFSOCK,
    "p": stat.S_IFIFO,
    "b": stat.S_IFBLK,
    "c": stat.S_IFCHR,
}
"""The letters of ``type``, as find(1) has them."""


@dataclass(frozen=True, slots=True)
class TypeCheck(Check):
    """On the kind of the entry: any of ``kinds`` will do (``stat.S_IFREG`` …)."""

    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class SizeCheck(Check):
    """On the size on disk. Any of the ranges will do."""

    ranges: tuple[expressions.SizeRange, ...]

    @property
    def is_for_members(self) -> bool:
        """Whether an archive says it of its members."""
        return True

    def passes(self, status: AnyStatus, now: int) -> bool:
        """Whether the entry passes."""
        return any(one.holds(status.st_size) for one in self.ranges) != self.negated


@dataclass(frozen=True, slots=True)
class SizesCheck(Check):
    """On the size: it must be one of many."""

    sizes: frozenset[int]

    @property
    def is_for_members(self) -> bool:
        """Whether an archive says it of its members."""
        return True

    def passes(self, status: AnyStatus, now: int) -> bool:
        """Whether the entry passes."""
        return status.st_size in self.sizes


@dataclass(frozen=True, slots=True)
class ModeCheck(Check):
    """On the mode's text."""

    pattern: Pattern
    _named: dict[int, frozenset[int]] = field(default_factory=dict)

    @property
    def is_for_members(self) -> bool:
        """Whether an archive says it of its members."""
        return True

    def may_name_a_kind(self) -> bool:
        """Whether the expression has anything that could stand for a kind's letter."""
        return not self.negated and re.search(r"[dLDpSc.\[\\(]", self.pattern.text) is not None

    def named(self, kind: int) -> frozenset[int]:
        """The permissions with which entries of a kind pass because of their kind: ``^d`` names directories.

        Not those whose mode would pass as a regular file's too: an expression about permissions only is about files.
        """
        if kind not in self._named:
            texts, plain = expressions.mode_texts(kind), expressions.mode_texts(stat.S_IFREG)
            passing, without = NameBatch(texts).matching(self.pattern), NameBatch(plain).matching(self.pattern)
            self._named[kind] = frozenset(
                mode
                for mode, (text, other) in enumerate(zip(texts, plain, strict=True))
                if text in passing and other not in without
            )
        return self._named[kind]

    def passes(self, status: AnyStatus, now: int) -> bool:
        """Whether the entry passes."""
        return self.pattern.matches(expressions.mode_text(status.st_mode).encode()) != self.negated


@dataclass(frozen=True, slots=True)
class AgeCheck(Check):
    """On the time of the last change of its content, or of its status."""

    age: expressions.Age
    time: Literal["st_mtime_ns", "st_ctime_ns"]

    @property
    def is_for_members(self) -> bool:
        """Whether an archive says it of its members."""
        return self.time == "st_mtime_ns"

    def passes(self, status: AnyStatus, now: int) -> bool:
        """Whether the entry passes."""
        return self.age.holds(getattr(status, self.time), now) != self.negated


@dataclass(frozen=True, slots=True)
class OwnerCheck(Check):
    """On the user or the group that owns it. Any of the ids will do."""

    ids: frozenset[int]
    owner: Literal["st_uid", "st_gid"]

    @property
    def is_for_members(self) -> bool:
        """Whether an archive says it of its members."""
        return False

    def passes(self, status: AnyStatus, now: int) -> bool:
        """Whether the entry passes."""
        return (getattr(status, self.owner) in self.ids) != self.negated


class Attributes:
    """The attributes of one entry, read when somebody asks for them."""

    def __init__(self, batch: Batch, name: str, *, follow: bool) -> None:
        """``follow``: those of what a link leads to."""
        self._batch = batch
        self._name = name
        self._follow = follow
        self._calls = batch.calls_for(name) if follow else batch.calls
        self._extended: dict[str, bytes] | None = None

    def birth(self) -> int:
        """When it was made, in nanoseconds since 1970.

        Raises:
            Unreadable: nobody knows.
            OSError: it went away.
        """
        born = self._calls.call(attributes.birth_time, self._name, self._batch.fd, follow=self._follow)
        if born is None:
            raise Unreadable(reasons.NO_BIRTH, "the file system does not keep the time of birth")
        return born

    def extended(self) -> dict[str, bytes]:
        """The extended attributes.

        Raises:
            OSError: it went away, or they may not be read.
        """
        if self._extended is None:
            self._extended = attributes.extended_attributes(
                self._name, self._batch.fd, follow=self._follow, calls=self._calls
            )
        return self._extended


@dataclass(frozen=True, slots=True)
class BirthCheck(Check):
    """On the time it was made."""

    age: expressions.Age

    def passes(self, entry: Attributes, now: int) -> bool:
        """Whether the entry passes."""
        return self.age.holds(entry.birth(), now) != self.negated


@dataclass(frozen=True, slots=True)
class XattrCheck(Check):
    """On the extended attributes, each as ``name=value``; any of them will do."""

    pattern: Pattern

    def passes(self, entry: Attributes, now: int) -> bool:
        """Whether the entry passes."""
        texts = (name.encode("utf-8", "surrogateescape") + b"=" + value.removesuffix(b"\0")
                 for name, value in entry.extended().items())  # fmt: skip
        return any(map(self.pattern.matches, texts)) != self.negated


@dataclass(frozen=True, slots=True)
class CapabilityCheck(Check):
    """On the text of its capabilities; without any it passes no expression."""

    pattern: Pattern

    def passes(self, entry: Attributes, now: int) -> bool:
        """Whether the entry passes."""
        text = attributes.capabilities_text(entry.extended().get(attributes.CAPABILITY, b""))
        return (bool(text) and self.pattern.matches(text.encode())) != self.negated


StatusCheck = SizeCheck | SizesCheck | ModeCheck | AgeCheck | OwnerCheck
"""What an entry's status answers."""
AttributeCheck = BirthCheck | XattrCheck | CapabilityCheck
"""What costs a call of its own."""
