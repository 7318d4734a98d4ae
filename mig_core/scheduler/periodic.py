"""What time alone brings about: agents fall silent, windows end, old actions are forgotten."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.config.server import SchedulerSettings
    from mig_core.store.base import Store

_log = logging.getLogger(__name__)


class Periodic:
    """One round of everything that is due by the clock. Several schedulers may do it at once."""

    def __init__(self, store: Store, settings: SchedulerSettings, now: Callable[[], datetime]) -> None:
        self._store = store
        self._settings = settings
        self._now = now

    async def run(self) -> None:
        """One round."""
        now, settings = self._now(), self._settings
        aged = await self._store.agents.age(
            now=now, idle_after=settings.idle_after, offline_after=settings.offline_after
        )
        for state, count in aged.items():
            if count:
                _log.info("%d agents are now %s", count, state.value)
        expired = await self._store.actions.expire(now=now, grace=settings.expiry_grace)
        if expired:
            _log.info("%d actions and commands expired", expired)
        for action in await self._store.actions.settle(now):
            _log.info("action %s has ended", action)
        forgotten = await self._store.actions.forget(before=now - settings.keep_actions)
        if forgotten:
            _log.info("%d old actions were forgotten", forgotten)
