"""Commands that a relay took and may have lost: found out, and handed over again.

RabbitMQ keeps commands in memory, because the books have them on disk. What it loses, when it or one of its nodes is
killed, is found here: a command that is sent and not answered, while nothing waits for its agent any more, is with the
agent or gone. So it is put into the outbox again; an agent that has it already knows its id, and runs it once.

That is done for all such commands when the relay's epoch has changed, for then all may be gone; and else for one that
was not answered for a while, again and again with growing pauses: a node of a cluster may be lost without the
scheduler's connection. Whether the agent has it, and is at work, cannot be told from here. As an agent takes only so
many messages at once, what it gets twice is bounded: there must be room for a cancel.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId, CommandId
    from mig_core.relay.base import PlatformRelay
    from mig_core.scheduler.handed_over import HandedOver
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
"""Commands that a look for single ones doubts, at most: many are late when everything is slow, not when it is lost. The
next look goes on behind them."""
AT_A_TIME, ALTOGETHER = 2, 8
"""Single commands of one agent that a look hands over again, and how often all those are that it has not answered."""

_log = logging.getLogger(__name__)


class LostCommands:
    """Looks after one relay's commands. Several schedulers may do it at once: a command is in the outbox only once."""

    def __init__(
        self, store: Store, relay: PlatformRelay, now: Callable[[], datetime], handed: HandedOver | None = None
    ) -> None:
        self._commands = store.commands
        self._handed = handed
        self._relay = relay
        self._now = now
        self._epoch = 0
        self._looked: datetime | None = None
        self._after: CommandId | None = None
        """Behind which the next look begins; None: with the first command."""
        self._seen: set[CommandId] = set()
        """What was found unanswered since a look began with the first command."""
        self._handed_over: dict[CommandId, tuple[AgentId, int, datetime]] = {}
        """Whose it is, how often it was handed over again, and when last."""
        self._copies: Counter[AgentId] = Counter()
        """How often all that an agent has not answered was handed over again."""

    async def look(self) -> None:
        """One look. May be repeated: what is handed over twice is run once."""
        epoch, now = self._relay.epoch, self._now()
        if not epoch or (epoch == self._epoch and self._has_just_looked(now)):
            return
        anew = epoch != self._epoch
        if anew:
            if self._handed is not None:
                await self._handed.mark()  # what it has just confirmed may be gone as well
            self._handed_over.clear()
            self._begin_again()
        given: Counter[AgentId] = Counter()
        doubted = lost = 0
        while anew or doubted < _MOST:
            page = await self._commands.unanswered(self._relay.name, after=self._after, limit=_PAGE, now=now)
            doubtful = [one for one in page if anew or (self._is_due(one, now) and self._has_room(one.agent, given))]
            doubted += len(doubtful)
            lost += await self._look_for(doubtful, now, None if anew else given)
            self._seen.update(one.id for one in page)
            if len(page) < _PAGE:
                self._begin_again()
                break
            self._after = page[-1].id
        if lost:
            _log.info("relay %s: %d commands are handed over again", self._relay.name, lost)
        self._epoch, self._looked = epoch, now

    def _has_just_looked(self, now: datetime) -> bool:
        return self._looked is not None and abs(now - self._looked) < BETWEEN

    def _begin_again(self) -> None:
        """The next look begins with the first command; what was answered meanwhile is forgotten."""
        self._handed_over = {one: tried for one, tried in self._handed_over.items() if one in self._seen}
        self._copies.clear()
        for agent, times, _ in self._handed_over.values():
            self._copies[agent] += times
        self._after = None
        self._seen.clear()

    def _is_due(self, command: Unanswered, now: datetime) -> bool:
        _, times, last = self._handed_over.get(command.id, (command.agent, 0, command.sent_at))
        return now - last >= FIRST * (1 << min(times, _DOUBLINGS))

    def _has_room(self, agent: AgentId, given: Counter[AgentId]) -> bool:
        return given[agent] < AT_A_TIME and self._copies[agent] < ALTOGETHER

    async def _look_for(self, commands: Sequence[Unanswered], now: datetime, given: Counter[AgentId] | None) -> int:
        """Hands over again what is missing; with ``given`` within bounds, what an agent was given least often first."""
        if not commands:
            return 0
        vacant = frozenset(await self._relay.vacant(sorted({one.agent for one in commands})))
        missing: list[Unanswered] = []
        for one in sorted(commands, key=self._times):
            if one.agent in vacant and (given is None or self._has_room(one.agent, given)):
                missing.append(one)
                if given is not None:
                    given[one.agent] += 1
        again = await self._commands.hand_over_again([one.id for one in missing], now) if missing else 0
        for one in missing:
            self._handed_over[one.id] = (one.agent, self._times(one) + 1, now)
            self._copies[one.agent] += 1
        return again

    def _times(self, command: Unanswered) -> int:
        return self._handed_over[command.id][1] if command.id in self._handed_over else 0
