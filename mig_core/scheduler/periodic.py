"""What time alone brings about: agents fall silent, windows end, old actions are forgotten."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.scheduler.isolation import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.config.server import SchedulerSettings
    from mig_core.store.base import Store

KEEP_PIECES = timedelta(hours=1)
"""How long after its last piece an unfinished upload is kept."""
KEEP_PENDING = timedelta(days=1)
"""How long after its last request an agent that waits for approval is kept. It asks every minute."""

_log = logging.getLogger(__name__)


class Periodic:
    """One round of everything that is due by the clock. Several schedulers may do it at once."""

    def __init__(self, store: Store, settings: SchedulerSettings, now: Callable[[], datetime]) -> None:
        self._store = store
        self._settings = settings
        self._now = now

    async def run(self) -> None:
        """One round. A part that cannot be done does not keep the others from being done."""
        store = self._store
        for part in (
            *(self._age, self._expire, self._settle, store.numbers.fold),
            *(self._keep_history, self._make_room, self._forget),
        ):
            try:
                await part()
            except Exception as error:
                if is_outage(error):
                    raise
                _log.exception("a part of the periodic work failed")

    async def _age(self) -> None:
        settings = self._settings
        aged = await self._store.agents.age(
            now=self._now(), idle_after=settings.idle_after, offline_after=settings.offline_after
        )
        for state, count in aged.items():
            if count:
                _log.info("%d agents are now %s", count, state.value)

    async def _expire(self) -> None:
        expired = await self._store.actions.expire(now=self._now(), grace=self._settings.expiry_grace)
        if expired:
            _log.info("%d actions and commands expired", expired)

    async def _settle(self) -> None:
        for action in await self._store.actions.settle(self._now()):
            _log.info("action %s has ended", action)

    async def _keep_history(self) -> None:
        await self._store.numbers.keep_history(self._now())

    async def _make_room(self) -> None:
        await self._store.actions.make_room(self._now())

    async def _forget(self) -> None:
        store, now = self._store, self._now()
        forgotten = {
            "old actions": await store.actions.forget(before=now - self._settings.keep_actions),
            "messages that were set aside": await store.set_aside.forget(before=now - self._settings.keep_actions),
            "pieces of unfinished uploads": await store.relay_queue.drop_pieces(before=now - KEEP_PIECES),
            "enrolments that nobody approved": await store.agents.forget_pending(before=now - KEEP_PENDING),
        }
        for what, count in forgotten.items():
            if count:
                _log.info("%d %s were forgotten", count, what)
