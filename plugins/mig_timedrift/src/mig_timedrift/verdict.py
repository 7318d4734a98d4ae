"""Whether the clock is within the drift asked about, judged over all sources that count."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mig_timedrift.reading import SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_timedrift.reading import Reading


ROUNDING = 0.001
"""Seconds within which two offsets are the same: clocks and schedulers are no better than that."""


class Verdict(NamedTuple):
    """What the sources come to."""

    offset: float
    """Seconds to be added to the clock: the median of those that agree with most."""
    error: float
    """Seconds that it may be off by."""
    by: tuple[Reading, ...]
    """Who agrees."""


class Judgement(NamedTuple):
    """The verdict, and who contradicts it."""

    verdict: Verdict | None
    """None if nobody knows, or no more than half of those that should know agree."""
    contradictory: tuple[Reading, ...] = ()


def judge(readings: Sequence[Reading]) -> Judgement:
    """By servers that answered if any did, else by the endpoint's own service.

    Two agree when their offsets differ by no more than both together may be off by.
    """
    usable = [one for one in readings if one.usable and one.offset is not None]
    counting = sorted([one for one in usable if one.source == SERVER] or usable, key=_offset)
    if not counting:
        return Judgement(None)
    middle = counting[(len(counting) - 1) // 2]
    agreeing = tuple(one for one in counting if abs(_offset(one) - _offset(middle)) <= _error(one) + _error(middle))
    if len(agreeing) * 2 <= len(counting):
        return Judgement(None, tuple(counting))
    verdict = Verdict(_offset(middle), _error(middle), agreeing)
    return Judgement(verdict, tuple(one for one in counting if one not in agreeing))


def _offset(one: Reading) -> float:
    return one.offset or 0.0


def _error(one: Reading) -> float:
    return (one.error or 0.0) + ROUNDING
