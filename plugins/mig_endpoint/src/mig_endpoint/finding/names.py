"""The name checks of a whole directory at once: its names joined with newlines, one RE2 call for all of them.

Used by ``evaluation``; thirty times cheaper than a call for each name.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from mig_endpoint.finding.patterns import Pattern


_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_NONE: AbstractSet[str] = frozenset()


class NameBatch:
    """Names of one directory, as :func:`os.fsdecode` gives them."""

    __slots__ = ("_joined", "_odd", "names")

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._joined: bytes | None = None
        self._odd: list[str] = []

    def matching(self, pattern: Pattern) -> AbstractSet[str]:
        """The names in which ``pattern`` is found."""
        if self._joined is None:
            self._joined = self._join()
        joined, find, position = self._joined, pattern.find_in_lines, 0
        end = len(joined)
        found = find(joined, position, end)[0] if end else -1
        if found < 0 and not self._odd:
            return _NONE
        matched: set[str] = set()
        while found >= 0:
            first = joined.rfind(b"\n", position, found) + 1 or position
            last = joined.find(b"\n", found)
            last = end if last < 0 else last
            matched.add(os.fsdecode(joined[first:last]))
            position = last + 1
            found = find(joined, position, end)[0] if position < end else -1
        matched.update(name for name in self._odd if pattern.matches(os.fsencode(name)))
        return matched

    def _join(self) -> bytes:
        """All names that are valid UTF-8 without a newline; the others go to ``_odd``, to be matched one by one."""
        joined = "\n".join(self.names).encode(_ENCODING, _ERRORS)  # os.fsencode, for each directory
        if joined.count(b"\n") == len(self.names) - 1 and (joined.isascii() or _is_utf8(joined)):
            return joined
        plain = []
        for name in self.names:
            raw = os.fsencode(name)
            if b"\n" in raw or not _is_utf8(raw):
                self._odd.append(name)
            else:
                plain.append(raw)
        return b"\n".join(plain)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
