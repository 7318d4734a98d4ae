"""A clock that differs from the platform's: said before anybody waits for answers that cannot come yet."""

from __future__ import annotations

from datetime import timedelta

from mig_core.domain.times import CLOCK_TOLERANCE, format_duration

_SECOND = timedelta(seconds=1)


def clock_warning(ahead: timedelta) -> str:
    """What an investigator is told whose clock is ``ahead`` of the platform's; empty when it does no harm.

    A window begins :data:`CLOCK_TOLERANCE` before the investigator's now: by so much a clock may be ahead.
    """
    late = ahead - CLOCK_TOLERANCE
    if late.total_seconds() < 1:
        return ""
    by, after = (format_duration(one - one % _SECOND) for one in (ahead, late))
    return f"this machine's clock is {by} ahead of the platform's: the question begins only in {after}; set the clock"
