"""Places of agents at a relay: made for those that are let in; of those that are out removed, with what waits there."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.scheduler.isolation import isolate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId
    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Store

BATCH = 200
AGAIN = timedelta(minutes=10)
"""After which a place that could not be removed (its node of a cluster may be down) is tried again."""

_log = logging.getLogger(__name__)


class Places:
    """Looks after one relay's places. Several schedulers may do it at once: all of it is harmless to repeat."""

    def __init__(self, store: Store, relay: PlatformRelay, now: Callable[[], datetime]) -> None:
        self._store = store
        self._agents = store.agents
        self._relay = relay
        self._now = now

    async def look(self) -> bool:
        """One round; returns whether there may be more."""
        more_to_admit = await self._admit()
        return await self._dismiss() or more_to_admit

    async def _admit(self) -> bool:
        agents = await self._agents.not_admitted(self._relay.name, limit=BATCH)
        admitted = await self._done("admitting agents to", "no place can be made for", agents, self._relay.admit)
        if admitted:
            await self._agents.mark_admitted(admitted)
            _log.info("relay %s: %d agents admitted", self._relay.name, len(admitted))
        return len(agents) == BATCH and bool(admitted)

    async def _dismiss(self) -> bool:
        now = self._now()
        agents = await self._agents.to_dismiss(self._relay.name, limit=BATCH, now=now)
        gone = await self._done("dismissing agents from", "the place cannot be removed of", agents, self._relay.dismiss)
        if gone:
            await self._agents.mark_dismissed(gone, now)
            _log.info("relay %s: %d agents that were retired have no place any more", self._relay.name, len(gone))
        if left := [one for one in agents if one not in set(gone)]:
            await self._agents.dismiss_later(left, now + AGAIN)
        return len(agents) == BATCH

    async def _done(
        self, what: str, fault: str, agents: Sequence[AgentId], work: Callable[[Sequence[AgentId]], Awaitable[None]]
    ) -> Sequence[AgentId]:
        """Those for whom it could be done; the others are logged."""
        refused = await isolate(f"{what} relay {self._relay.name}", agents, work, answers=self._store.ready)
        for agent, error in refused:
            _log.error("relay %s: %s agent %s: %s", self._relay.name, fault, agent, error)
        return [one for one in agents if one not in {agent for agent, _ in refused}]
