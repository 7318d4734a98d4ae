"""Commands that a relay took and may have lost: found out, and handed over again.

RabbitMQ keeps commands in memory, because the books have them on disk. What it loses, when it or one of its nodes is
killed, is found here: a command that is sent and not answered, while nothing waits for its agent any more, is with the
agent or gone. So it is put into the outbox again; an agent that has it already knows its id, and runs it once.

That is done for all such commands when the relay's epoch has changed, for then all may be gone; and else for one that
was not answered for a while, again and again with growing pauses: a node of a cluster may be lost without the
scheduler's connection.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.domain.ids import CommandId
    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Store
    from mig_core.store.rows import Unanswered

EVERY = 5.0
"""Seconds between two looks at the relay's epoch."""
BETWEEN = timedelta(seconds=30)
"""Between two looks for single commands."""
FIRST = timedelta(seconds=60)
"""How long a command may be unanswered before it is looked for; twice as long after each time it was handed over."""
_DOUBLINGS = 4
_PAGE = 500
_MOST = 2000
"""Commands that a look for single ones doubts, at most: many are late when everything is slow, not when it is lost."""

_log = logging.getLogger(__name__)


class LostCommands:
    """Looks after one relay's commands. Several schedulers may do it at once: a command is in the outbox only once."""

    def __init__(self, store: Store, relay: PlatformRelay, now: Callable[[], datetime]) -> None:
        self._commands = store.commands
        self._relay = relay
        self._now = now
        self._epoch = 0
        self._next: datetime | None = None
        self._handed_over: dict[CommandId, tuple[int, datetime]] = {}
        """How often a command was handed over again, and when last."""

    async def look(self) -> None:
        """One look. May be repeated: what is handed over twice is run once."""
        epoch, now = self._relay.epoch, self._now()
        if not epoch or (epoch == self._epoch and self._next is not None and now < self._next):
            return
        anew = epoch != self._epoch
        after: CommandId | None = None
        seen: set[CommandId] = set()
        doubted = lost = 0
        while anew or doubted < _MOST:
            page = await self._commands.unanswered(self._relay.name, after=after, limit=_PAGE, now=now)
            doubtful = [one for one in page if anew or self._is_due(one, now)]
            doubted += len(doubtful)
            lost += await self._look_for(doubtful, now)
            seen.update(one.id for one in page)
            if len(page) < _PAGE:
                self._handed_over = {one: tried for one, tried in self._handed_over.items() if one in seen}
                break
            after = page[-1].id
        if lost:
            _log.info("relay %s: %d commands are handed over again", self._relay.name, lost)
        self._epoch, self._next = epoch, now + BETWEEN

    def _is_due(self, command: Unanswered, now: datetime) -> bool:
        times, last = self._handed_over.get(command.id, (0, command.sent_at))
        return now - last >= FIRST * (1 << min(times, _DOUBLINGS))

    async def _look_for(self, commands: Sequence[Unanswered], now: datetime) -> int:
        if not commands:
            return 0
        vacant = frozenset(await self._relay.vacant(sorted({one.agent for one in commands})))
        missing = [one.id for one in commands if one.agent in vacant]
        again = await self._commands.hand_over_again(missing) if missing else 0
        for command in missing:
            times, _ = self._handed_over.get(command, (0, now))
            self._handed_over[command] = (times + 1, now)
        return again
