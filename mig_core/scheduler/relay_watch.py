"""Whether a relay carries messages: looked at every few seconds, and told to the platform where it does not.

So ``mig why`` can say that the broker takes no messages, instead of leaving a command queued without a word.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from mig_core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Numbers

EVERY = 5.0
"""Seconds between two looks."""
SAID_AGAIN = 30.0
"""Seconds after which a problem that lasts is told again; it is believed for two minutes."""

_log = logging.getLogger(__name__)


class RelayWatch:
    """Watches one relay, until it is cancelled."""

    def __init__(
        self, numbers: Numbers, relay: PlatformRelay, now: Callable[[], datetime], *, every: float = EVERY
    ) -> None:
        self._numbers = numbers
        self._relay = relay
        self._now = now
        self._every = every
        self._said = ""
        self._until = 0.0

    @property
    def problem(self) -> str:
        """What was last seen; empty: nothing."""
        return self._said

    async def run(self) -> None:
        """Looks, tells, waits."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Once."""
        problem = await self._relay.trouble()
        now = asyncio.get_running_loop().time()
        if problem == self._said and (not problem or now < self._until):
            return
        if problem != self._said:
            _log.warning("relay %s: %s", self._relay.name, problem or "all is well again")
        try:
            await self._numbers.relay_is(self._relay.name, problem, self._now())
        except StoreError as error:
            _log.debug("how relay %s is could not be told: %s", self._relay.name, error)
            return
        self._said, self._until = problem, now + SAID_AGAIN
