"""Commands that a relay has confirmed and of which the books do not say so yet.

Marking a command as sent rewrites its row, and most agents answer within a second or two, which rewrites it once
more. So what was confirmed is kept here for a moment, and the mark is written for those that are not answered by then;
with an answer the moment of the confirm is written. Until then the command is queued in the books and leased to this
scheduler: if it dies, the lease ends, another one hands the command over again, and the agent knows its id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mig_core.scheduler.loops import until_done

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.ids import CommandId
    from mig_core.store.base import Store

MARKED_AFTER = 1.5
"""Seconds for which the mark waits for the answer; far below the lease of what is handed over."""
EVERY = 0.5
"""Seconds between two looks at what is to be marked."""


class HandedOver:
    """Of one scheduler, for all its relays."""

    def __init__(self, store: Store) -> None:
        self._commands = store.commands
        self._sent: dict[CommandId, datetime] = {}
        self._batches: deque[tuple[float, datetime, str, Sequence[CommandId]]] = deque()
        """When by the loop's clock they were confirmed, when by ours, by which relay, and which; the oldest first."""
        self._marking = asyncio.Lock()

    @property
    def sent(self) -> Mapping[CommandId, datetime]:
        """Since when a relay has what is not marked yet."""
        return self._sent

    def confirmed(self, relay: str, commands: Sequence[CommandId], now: datetime) -> None:
        """A relay has these."""
        if commands:
            self._sent.update(dict.fromkeys(commands, now))
            self._batches.append((asyncio.get_running_loop().time(), now, relay, commands))

    def answered(self, commands: Iterable[CommandId]) -> None:
        """The books say so of these: they are final."""
        for one in commands:
            self._sent.pop(one, None)

    async def run(self) -> None:
        """Marks what has waited long enough, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            before = asyncio.get_running_loop().time() - MARKED_AFTER
            await until_done("marking commands as sent", lambda before=before: self.mark(before))  # type: ignore[misc]

    async def mark(self, before: float | None = None) -> None:
        """Marks what was confirmed before a moment of the loop's clock; without one everything. May be repeated."""
        async with self._marking:
            while self._batches and (before is None or self._batches[0][0] <= before):
                _, at, relay, commands = self._batches[0]
                waiting = [one for one in commands if one in self._sent]
                if waiting:
                    await self._commands.mark_sent(waiting, at, relay=relay)
                self._batches.popleft()
                self.answered(waiting)
