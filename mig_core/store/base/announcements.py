"""Ends of actions that somebody outside is told about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from mig_core.domain.ids import ActionId


class Announcements(Protocol):
    """Each is told at least once, or given up."""

    async def claim(
        self, *, now: datetime, since: datetime, most_tries: int, pause: timedelta, limit: int
    ) -> Sequence[tuple[ActionId, int]]:
        """Actions whose end is to be told now, with the number of this try (from 1); nobody else gets them meanwhile.

        Args:
            now: the time.
            since: what ended before is not told any more.
            most_tries: after so many tries an end is told no more.
            pause: until the next try, if this one fails; it doubles with each.
            limit: at most so many.
        """
        ...

    async def done(self, actions: Sequence[ActionId], now: datetime) -> None:
        """These were told."""
        ...
