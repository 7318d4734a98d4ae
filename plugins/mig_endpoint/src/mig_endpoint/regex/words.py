"""Which of many texts are in a buffer, found in one pass however many they are (Aho and Corasick's automaton)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Words:
    """The texts. May be shared between threads."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        """``texts``: none of them empty."""
        import ahocorasick_rs

        self._find = ahocorasick_rs.BytesAhoCorasick(texts).find_matches_as_indexes

    def found(self, buffer: bytes) -> set[int]:
        """The places, among the texts, of those that are in ``buffer``."""
        return {number for number, _start, _end in self._find(buffer, overlapping=True)}
