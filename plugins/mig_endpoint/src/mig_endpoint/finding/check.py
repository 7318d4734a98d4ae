"""What all checks have in common."""

from __future__ import annotations

from mig_core.records import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One value of one filter, or several of which any will do."""

    key: str
    """The filter's key in the JSON."""
    value: str
    """The (first) value as it was given."""
    negated: bool
    """Whether it is passed by failing (``!``, ``mismatch``, or neither if both)."""
