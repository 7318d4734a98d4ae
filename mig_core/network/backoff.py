"""How long to wait before the next attempt: longer each time, and never in step with the rest of the fleet."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """Delays in seconds, each drawn between ``first`` and a ceiling that doubles up to ``limit``. Not thread-safe.

    Args:
        spread: what the first delay may be at most, if that is more than twice ``first``: a fleet that lost the same
            server at the same moment comes back over so many seconds.
        chance: gives a number from 0 up to 1; the delays need to differ between agents, not to be secret.
    """

    def __init__(
        self,
        first: float = 0.2,
        limit: float = 30.0,
        *,
        spread: float = 0.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._limit = limit
        self._spread = max(first, spread / 2)
        self._chance = chance
        self._ceiling = self._spread

    def next(self) -> float:
        """Seconds to wait now."""
        self._ceiling = min(self._limit, self._ceiling * 2)
        return self._first + (self._ceiling - self._first) * self._chance()

    def reset(self) -> None:
        """Begins anew, after something worked."""
        self._ceiling = self._spread
