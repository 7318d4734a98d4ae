"""A running dispatch, put together: spool, receipts, one delivery for each sink, intake, counters.

Threads: the one that called :func:`serve` watches over the others and reports; one for each sink delivers; the
service's own bring alerts and questions.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult
from mig_core.domain.times import format_time
from mig_core.errors import MigError
from mig_core.plugin.network import Backoff
from mig_dispatch import record, status
from mig_dispatch.bounds import Bounds
from mig_dispatch.deadletters import DeadLetters
from mig_dispatch.delivery import Delivery
from mig_dispatch.receipts import Receipts
from mig_dispatch.sinks.factory import make_sink
from mig_dispatch.spool import Spool

if TYPE_CHECKING:
    import random
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Incoming, Service
    from mig_dispatch.settings import DispatchSettings

_WATCH_SECONDS = 0.5
_STATUS_SECONDS = 1.0
_END_SECONDS = 3.0
_REFUSED_PAUSE_SECONDS = 1.0


class Intake:
    """Where alerts come in. :meth:`take` returns when they are safe on disk."""

    def __init__(self, spool: Spool, stopping: threading.Event, now: Callable[[], datetime]) -> None:
        self._spool = spool
        self._stopping = stopping
        self._now = now

    def take(self, batch: Sequence[Incoming]) -> None:
        """Keeps the alerts; while the spool is full, waits: that is how the sources come to wait.

        Raises:
            MigError: the module stops; nothing was kept that will not come again.
            OSError: the disk refuses. A second has passed, so that asking again at once does no harm.
        """
        received = format_time(self._now())
        try:
            kept = self._spool.append([record.pack(one, received) for one in batch], self._stopping)
        except OSError:
            self._stopping.wait(_REFUSED_PAUSE_SECONDS)
            raise
        if not kept:
            raise MigError("dispatch: is stopping; the alerts are to be sent again")


def serve(
    service: Service,
    settings: DispatchSettings,
    *,
    chance: random.Random,
    now: Callable[[], datetime],
    new_id: Callable[[], str],
) -> None:
    """Forwards alerts until ``service.stopping``.

    Raises:
        MigError: another process serves from the same folder.
        OSError: the folder cannot be used.
    """
    stopping = service.stopping
    spool_ = Spool(
        service.state / "spool",
        max_bytes=settings.spool_bytes,
        new_id=new_id,
        # a sink's own bound is kept in steps of a segment
        segment_bytes=min((one.wait_bytes // 2 for one in settings.sinks if one.wait_bytes), default=None),
    )
    with (
        contextlib.closing(spool_) as spool,
        contextlib.closing(Receipts(spool, [one.name for one in settings.sinks])) as receipts,
    ):
        if spool.torn:
            service.log(logging.INFO, f"{spool.torn} bytes of an interrupted write were cut off; their source has them")
        maker = record.RecordMaker(service.hostname, service.environment, service.tags)
        deliveries = [
            Delivery(
                one,
                make_sink(one, maker, spool.id),
                spool,
                receipts,
                DeadLetters(service.state / "dead" / f"{one.name}.jsonl", settings.dead_letter_bytes),
                stopping=stopping,
                backoff=Backoff(one.retry_min, one.retry_max, chance=chance.random),
                now=now,
                log=service.log,
            )
            for one in settings.sinks
        ]
        bounds = Bounds(spool, receipts, deliveries)
        for one in deliveries:
            one.start()
        try:
            service.answer_with(lambda _raw: _answer(status.counters(spool, receipts, deliveries, bounds.holders())))
            service.take_alerts(Intake(spool, stopping, now).take)
            _watch(service, spool, receipts, deliveries, bounds)
        finally:
            stopping.set()
            _end(spool, deliveries)


def _answer(elements: dict[str, JSON]) -> ModuleResult:
    received = elements["received"]
    assert isinstance(received, int)
    return ModuleResult(True, True, elements, coverage=Coverage(examined={"alerts": received}))


def _watch(service: Service, spool: Spool, receipts: Receipts, deliveries: list[Delivery], bounds: Bounds) -> None:
    reported, reported_at = None, 0.0
    while not service.stopping.wait(_WATCH_SECONDS):
        moment = time.monotonic()
        for one in deliveries:
            one.sink.watch(moment)
        bounds.enforce()
        if moment - reported_at < _STATUS_SECONDS:
            continue
        try:
            receipts.sync()
        except OSError as error:
            service.log(logging.ERROR, f"the receipts cannot be written: {error}")
        present = status.counters(spool, receipts, deliveries, bounds.holders(), longest_error=status.HEARTBEAT_ERROR)
        if present != reported:
            service.status(present)
            reported, reported_at = present, moment


def _end(spool: Spool, deliveries: list[Delivery]) -> None:
    spool.wake()
    for one in deliveries:
        one.sink.interrupt()
        one.wake()
    until = time.monotonic() + _END_SECONDS
    for one in deliveries:
        one.join(max(0.0, until - time.monotonic()))
