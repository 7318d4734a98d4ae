"""A running watch: registration, reader, assembly, events and losses put together. The composition root of ``serve``.

Two threads: the reader (see there) and this one, which makes events and hands them to the agent. While the agent takes
none, this one waits and the queue between them fills; what does not fit is counted.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from mig_audit import settings as settings_
from mig_audit.accounts import Accounts
from mig_audit.assembly import Assembly
from mig_audit.container import Groups
from mig_audit.event import SCHEMA, Events, removed_paths
from mig_audit.losses import Losses
from mig_audit.netlink import unpack
from mig_audit.note import Notebook, Position
from mig_audit.reader import Queue, Reader
from mig_audit.registration import Registration
from mig_audit.rule_fields import AccountNumbers
from mig_core.domain.result import ModuleResult
from mig_core.errors import MigError

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Service

TICK = 1.0
"""Seconds between looks at the kernel's counters."""
REFRESH = 10
"""Ticks between looks at the kernel's rules."""
PRIORITY = 4
"""How much more than others it may have of a busy processor (nice value, negative)."""
LAST_RECORDS = 0.1
"""Seconds for the records of our own leaving to arrive."""


class Watch:
    """One run of the module."""

    def __init__(self, service: Service) -> None:
        """Reads the configuration.

        Raises:
            ConfigurationError: names the key's path, or the rule file and the place in it.
        """
        self._service = service
        self._settings = settings_.read(service.config)
        rules = settings_.rules_of(self._settings, AccountNumbers(), with_file=True)
        for note in rules.notes:
            service.log(logging.INFO, f"rules: {note}")
        self._rules = rules.rules
        self._notebook = Notebook(service.state)
        self._losses = Losses()
        self._queue = Queue(self._settings.queue_records)
        groups = Groups(time.monotonic) if self._settings.containers else None
        self._events = Events(Accounts(time.monotonic), groups, include_raw=self._settings.include_raw)
        self._assembly = Assembly(self._emit, self._see)
        self._registration: Registration
        self._position: Position
        self._counted = {"events": 0, "records": 0}
        self._ticks = 0
        self._next_tick = 0.0
        self._reported: dict[str, JSON] = {}
        self._since_absence = 0
        self._answering = False
        self._removed: set[str] = set()
        """Paths of rules of which the kernel has said that it removed them."""

    def run(self) -> None:
        """Watches until the service is stopping.

        Raises:
            MigError: the kernel does not let us, or the socket failed.
        """
        with contextlib.suppress(OSError):  # as auditd does by default: this thread, and the reader it starts
            os.setpriority(os.PRIO_PROCESS, 0, -PRIORITY)
        self._position = Position(self._service.state)
        self._since_absence = self._position.found
        try:
            again = True
            while again and not self._service.stopping.is_set():
                again = self._watch()
        finally:
            self._position.close()

    def status(self) -> dict[str, JSON]:
        """The counters, for the heartbeat and for questions."""
        registration, kernel = self._registration, self._registration.status
        count = registration.rules.count
        return {
            "mode": registration.mode,
            "enabled": None if kernel is None else kernel.enabled,
            "rules_wanted": count.wanted,
            "rules_loaded": count.loaded,
            "rules_waiting": count.waiting,
            "rules_refused": count.refused,
            "rules_foreign": count.foreign,
            "events": self._counted["events"],
            "records": self._counted["records"],
            "lost": self._losses.total.to_json(),
            "backlog": None if kernel is None else kernel.backlog,
            "backlog_limit": None if kernel is None else kernel.backlog_limit,
            "queued_records": self._queue.size(),
            "open_events": self._assembly.waiting(),
        }

    def _watch(self) -> bool:
        """One registration; whether to begin another."""
        registration = self._registration = Registration(
            self._settings, self._rules, self._notebook, self._service.log, _now
        )
        try:
            registration.open()
        except BaseException:
            registration.end()
            raise
        self._events.exclude(registration.rules.excluded)
        count = registration.rules.count
        self._service.log(
            logging.INFO,
            f"watching: {registration.mode}, {count.loaded} of {count.wanted} rules loaded, "
            f"{count.foreign} rules of others",
        )
        if not self._answering:
            self._answering = True
            self._service.answer_with(lambda _raw: self._answer())
        reader = Reader(registration.events, self._queue)
        self._hand_over(registration)
        reader.start()
        try:
            while True:
                if self._service.stopping.is_set():
                    return False
                if self._queue.failure:
                    raise MigError(self._queue.failure)
                self._work()
                if time.monotonic() < self._next_tick:
                    continue
                verdict = self._tick()
                if verdict == "dropped":
                    self._losses.total.ownership += 1
                    self._service.log(logging.WARNING, "the kernel had dropped this module as its audit daemon")
                    reader.stop()
                    reader = Reader(registration.events, self._queue)
                    verdict = "" if registration.reclaim() else "changed"
                    self._hand_over(registration)
                    reader.start()
                if verdict == "changed":
                    self._service.log(logging.WARNING, "another audit daemon came or went: opening anew")
                    return True
        finally:
            self._leave(registration, reader)

    def _leave(self, registration: Registration, reader: Reader) -> None:
        """Gives back, and accounts for all that came until then."""
        registration.close()
        time.sleep(LAST_RECORDS)
        reader.stop()
        while self._queue.size():
            self._work()
        self._assembly.flush()
        if self._service.stopping.is_set():
            self._losses.settle(math.inf)  # what is missing now, nobody waits for any more
        self._keep(ending=True)
        self._tell(report=True)
        registration.end()

    def _hand_over(self, registration: Registration) -> None:
        """Events that came while the registration spoke with the kernel on their socket."""
        messages = [unpack(one) for one in registration.early]
        registration.early.clear()
        batch = [(one.type, one.payload.decode("utf-8", "backslashreplace")) for one in messages if one is not None]
        self._queue.put(batch)

    def _work(self) -> None:
        batches = self._queue.take(0.25 if self._assembly.waiting() else TICK)
        for batch in batches:
            self._counted["records"] += len(batch)
            self._assembly.add(batch, time.monotonic())
        if not batches:
            self._assembly.settle(time.monotonic())
        self._keep()

    def _keep(self, *, ending: bool = False) -> None:
        """Writes down the serial up to which all is accounted for, so that the next module knows what a kill cost."""
        # 1. Nothing has come yet: what the last module left still counts.
        if self._since_absence or (not self._losses.gaps.highest and not ending):
            return
        # 2. All serials that were seen are, except from the oldest event on that still waits for records,
        oldest = self._assembly.oldest()
        serial = _serial(oldest) - 1 if oldest is not None else self._losses.gaps.highest
        # 3. and except from the first serial on that is missing and may still come.
        if awaited := self._losses.gaps.earliest():
            serial = min(serial, awaited - 1)
        # 4. After a stop in good order nothing is owed: whatever the kernel says later is no loss of ours.
        peace = ending and self._service.stopping.is_set() and not self._losses.total.unsent_events
        self._position.keep(0 if peace else max(serial, 0))

    def _see(self, stamp: str, now: float) -> None:
        """Heeds the serial of every event, in order of arrival, before the event itself is made."""
        serial = _serial(stamp)
        if not serial:
            return
        # 1. The first one after a kill tells what was lost. Told before the position moves on: another kill must not
        #    hide this one.
        if self._since_absence:
            if serial > self._since_absence + 1:
                self._losses.absence(self._since_absence + 1, serial - 1)
                self._tell(report=False)
            self._since_absence = 0
        # 2. The first one of all: from here on a kill leaves a place to count from.
        if not self._losses.gaps.highest:
            self._position.keep(serial - 1)
        # 3. Serials that were passed over are awaited for a while, then counted as lost.
        self._losses.gaps.see(serial, now)

    def _emit(self, stamp: str, records: list[tuple[int, str]], complete: bool) -> None:
        event = self._events.make(stamp, records, complete=complete)
        if not event["complete"]:
            self._losses.total.incomplete_events += 1
        if "records" in event:
            self._removed.update(removed_paths(event))
        if self._send(event):
            self._counted["events"] += 1
        else:
            self._losses.total.unsent_events += 1

    def _send(self, event: dict[str, JSON]) -> bool:
        while not self._service.alert(event, timeout=TICK):
            if self._service.stopping.is_set():
                return False
            self._registration.check()  # what it says is said again at the next tick; here only the counters matter
            self._count()
            self._report()
        return True

    def _tick(self) -> str:
        self._next_tick = time.monotonic() + TICK
        self._ticks += 1
        self._heal(listing=self._ticks % REFRESH == 0)
        verdict = self._registration.check()
        self._tell(report=True)
        return verdict

    def _heal(self, *, listing: bool) -> None:
        """Loads rules again that are not in force any more, and tells since when they were not."""
        removed, self._removed = self._removed, set()
        gaps = self._registration.look(removed, listing=listing)
        self._events.exclude(self._registration.rules.excluded)
        for gap in gaps:
            back = "loaded again" if gap.until else "not in force"
            self._service.log(logging.WARNING, f"rule {gap.rule}: {back}; ended by {gap.by}, after {gap.since}")
            told: dict[str, JSON] = {"schema": SCHEMA, "type": "audit_gap", "time": _now(), **asdict(gap)}
            told["keys"] = [*gap.keys]
            self._send(told)

    def _tell(self, *, report: bool) -> None:
        losses = self._losses
        self._count()
        losses.settle(time.monotonic())
        event = losses.event(_now(), SCHEMA)
        if event is not None:
            self._service.log(logging.WARNING, f"audit events were lost: {event['lost']}")
            self._send(event)
        if report:
            self._report()

    def _count(self) -> None:
        losses = self._losses
        if self._registration.status is not None:
            losses.kernel(self._registration.status.lost)
        losses.total.queue_records, losses.total.overruns = self._queue.dropped, self._queue.overruns

    def _report(self) -> None:
        status = self.status()
        if status != self._reported:
            self._reported = status
            self._service.status(status)

    def _answer(self) -> ModuleResult:
        return ModuleResult(True, True, self.status())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _serial(stamp: str) -> int:
    text = stamp[stamp.find(":") + 1 :]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
