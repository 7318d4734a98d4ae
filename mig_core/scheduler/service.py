"""The scheduler's tasks in one event loop (asyncio; no threads but for large documents).

Any number of schedulers may run against one database: what each does is leased row by row, or harmless to do twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.scheduler.collector import Collector
from mig_core.scheduler.fanout import FanOut, Outbox
from mig_core.scheduler.handed_over import HandedOver
from mig_core.scheduler.loops import regularly, until_done, whenever, whenever_woken
from mig_core.scheduler.lost_commands import EVERY, LostCommands
from mig_core.scheduler.metrics import SchedulerMetrics
from mig_core.scheduler.periodic import Periodic
from mig_core.scheduler.places import Places
from mig_core.scheduler.relay_watch import RelayWatch
from mig_core.scheduler.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.config.server import SchedulerSettings
    from mig_core.relay.base import PlatformRelay
    from mig_core.store.base import Store

_FALLBACK_INTERVAL = 5.0
"""Seconds after which tables are looked at even if no wakeup came."""
_MARKING = 2.0
"""Seconds that the marks of what was handed over may take when the scheduler ends."""
_ADMIT_REST = 0.1
"""Seconds between two admissions: of a fleet that enrols many come meanwhile, one alone waits for nobody."""

_log = logging.getLogger(__name__)


class Scheduler:
    """Everything a scheduler does, until it is cancelled."""

    def __init__(
        self,
        store: Store,
        relays: Sequence[PlatformRelay],
        settings: SchedulerSettings,
        *,
        now: Callable[[], datetime],
        metrics: SchedulerMetrics | None = None,
    ) -> None:
        self._store = store
        self._relays = {relay.name: relay for relay in relays}
        self._settings = settings
        self._now = now
        self._metrics = metrics or SchedulerMetrics()
        self._handed = HandedOver(store)

    async def run(self) -> None:
        """Works until cancelled; then closes the relays."""
        wakeups = self._store.wakeups
        in_store = (one.name for one in self._relays.values() if isinstance(one, HttpsPlatformRelay))
        outbox = Outbox(self._store, self._relays, self._now, self._handed)
        fan_out = FanOut(self._store, self._now, at_once=next(in_store, ""), outbox=outbox)
        periodic = Periodic(self._store, self._settings, self._now)
        told = self._settings.webhook
        webhook = Webhook(self._store, told, self._now) if told.url else None
        timed = self._metrics.timed
        fanning_out, handing_over = timed("fan_out", fan_out.run_due), timed("hand_over", outbox.run)
        handing_over_own = timed("hand_over", outbox.run_own)
        every = self._settings.periodic_interval.total_seconds()
        try:
            async with asyncio.TaskGroup() as group:
                for relay in self._relays.values():
                    group.create_task(self._serve(relay))
                group.create_task(
                    whenever_woken(wakeups, "action", "fanning out", fanning_out, interval=_FALLBACK_INTERVAL)
                )
                group.create_task(
                    whenever_woken(wakeups, "outbox", "handing over", handing_over, interval=_FALLBACK_INTERVAL)
                )
                group.create_task(whenever(outbox.wait_for_own, "handing over", handing_over_own))
                group.create_task(self._handed.run())
                group.create_task(self._store.presence.keep())
                if webhook is not None:
                    telling = timed("webhook", webhook.run)
                    group.create_task(
                        whenever_woken(wakeups, "action", "telling ends", telling, interval=_FALLBACK_INTERVAL)
                    )
                group.create_task(regularly("periodic work", timed("periodic", periodic.run), interval=every))
        finally:
            with contextlib.suppress(Exception):  # we are leaving; what is not marked is handed over again
                await asyncio.wait_for(self._handed.mark(), _MARKING)
            for relay in self._relays.values():
                with contextlib.suppress(Exception):  # we are leaving; a relay that is gone cannot be closed
                    await relay.close()

    async def _serve(self, relay: PlatformRelay) -> None:
        async with asyncio.TaskGroup() as group:
            watch = RelayWatch(self._store.numbers, relay, self._now)
            self._metrics.watch(relay.name, lambda: watch.problem)
            group.create_task(watch.run())
            group.create_task(self._carry(relay))

    async def _carry(self, relay: PlatformRelay) -> None:
        await until_done(f"connecting to relay {relay.name}", relay.open)
        _log.info("relay %s is connected", relay.name)
        async with asyncio.TaskGroup() as group:
            collector = Collector(self._store, relay, self._now, self._metrics.took_in, self._handed)
            group.create_task(collector.run())
            lost = LostCommands(self._store, relay, self._now, self._handed)
            group.create_task(regularly(f"looking for lost commands of relay {relay.name}", lost.look, interval=EVERY))
            group.create_task(
                whenever_woken(
                    self._store.wakeups,
                    "agent",
                    f"making room for agents at relay {relay.name}",
                    Places(self._store, relay, self._now).look,
                    interval=_FALLBACK_INTERVAL,
                    rest=_ADMIT_REST,
                )
            )
