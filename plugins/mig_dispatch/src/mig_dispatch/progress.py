"""How a sink's latest attempts went: for people, in memory only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_dispatch.deadletters import DeadLetter

_MOST_KINDS, _LONGEST_KIND = 12, 60
"""Of reasons for which alerts are refused: they come from the receiver."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the sink's latest attempts were like. Times are RFC 3339; empty: never since the module started."""

    failures: int = 0
    """Attempts that settled less than they should have, since the module started."""
    last_error: str = ""
    last_error_at: str = ""
    last_success: str = ""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Why alerts were refused for good -> how many."""

    def with_refused(self, letters: Iterable[DeadLetter]) -> Progress:
        """The same with these counted, by what stands before the first colon of their reasons."""
        counts = dict(self.refusals)
        for letter in letters:
            kind = letter.reason.partition(":")[0][:_LONGEST_KIND]
            kind = kind if kind in counts or len(counts) < _MOST_KINDS else "other reasons"
            counts[kind] = counts.get(kind, 0) + max(1, letter.alert.count)
        return replace(self, refusals=counts)
