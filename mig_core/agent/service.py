"""The agent's life between start and stop: which threads there are and who talks to whom.

Threads, one per role:

* the caller of :meth:`Service.run` (main thread) waits for the end and orders everybody to stop;
* ``session`` enrols, opens the relay, and does so again when the platform refuses the login;
* the relay's own (see its driver) hand deliveries over and return at once;
* ``intake`` reads deliveries in order: heeds cancels at once, gives commands to the workers;
* ``worker-N`` (``modules.concurrency`` of them) carry out one command each at a time;
* ``sender-LANE`` bring answers from the spool to the relay (:mod:`.sending`);
* ``heartbeat`` looks at the environment and reports;
* ``launcher`` listens to the zygote;
* ``supervisor`` (where persistent modules are set up) runs them and carries their alerts;
* ``reload`` notices what changed on this endpoint.

They share nothing but thread-safe parts. Everything that must not be lost is on disk before its delivery is
acknowledged, so a stop (or a crash) at any moment is harmless.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mig_core.agent.current_relay import CurrentRelay
from mig_core.agent.records.spool import Lane
from mig_core.agent.sending import Sender
from mig_core.domain.command import CancelMessage, CommandMessage, read_message
from mig_core.domain.messages import Kind
from mig_core.errors import InvalidDocument, MigError, RelayDenied
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.agent.commands import Commands
    from mig_core.agent.counters import Counters
    from mig_core.agent.metrics_file import MetricsFile
    from mig_core.agent.operations.launcher import Launcher
    from mig_core.agent.operations.strays import Strays
    from mig_core.agent.persistent.supervisor import Supervisor
    from mig_core.agent.platform.facts import FactsHolder
    from mig_core.agent.platform.heartbeat import Heartbeats
    from mig_core.agent.records.spool import Spool
    from mig_core.domain.ids import AgentId
    from mig_core.relay.base import AgentRelay, Delivery

log = logging.getLogger(__name__)

_JOIN_SECONDS = 0.5
_GOODBYE_SECONDS = 1.0
_SUPERVISOR_SECONDS = 4.5
_PUBLISH_SECONDS = 30.0
_RETRY_SECONDS = 15.0
_DISK_RETRY_SECONDS = 5.0
_TROUBLE_SECONDS = 5.0
"""How soon a trouble of the relay is noticed."""
_LOST_SECONDS = 30.0
"""How often a heartbeat is tried while nothing can be received."""


class Watching(Protocol):
    """Notices what changed on this endpoint: :class:`mig_core.agent.reload.Reload`."""

    def run(self) -> None:
        """Looks until :meth:`stop`; a thread of its own."""
        ...

    def look_now(self) -> None:
        """At once. From any thread."""
        ...

    def stop(self) -> None:
        """Ends :meth:`run`. From any thread."""
        ...


class Connector(Protocol):
    """How this agent comes to a relay."""

    def open(self, wait: Callable[[float], bool]) -> AgentRelay | None:
        """A relay that is not started yet; enrols first if need be. None when ``wait`` said to give up."""
        ...

    def denied(self) -> None:
        """The login does not work any more: enrol again next time."""
        ...

    def close(self) -> None:
        """Ends what ``open`` is waiting for. From any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the agent tells about itself, and how often."""

    heartbeats: Heartbeats
    facts: FactsHolder
    heartbeat_seconds: float
    environment_seconds: float
    metrics: MetricsFile | None = None


@dataclass(frozen=True, slots=True)
class Processes:
    """What the agent runs in other processes."""

    launcher: Launcher
    supervisor: Supervisor
    strays: Strays
    concurrency: int
    """Commands that are carried out at the same time."""


class Service:
    """The running agent."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        commands: Commands,
        connector: Connector,
        spool: Spool,
        counters: Counters,
        reporting: Reporting,
        processes: Processes,
    ) -> None:
        self._agent_id = agent_id
        self._commands = commands
        self._connector = connector
        self._spool, self._counters = spool, counters
        self._sender = Sender(
            spool,
            self._publish,
            instead=commands.answering.stand_in,
            counters=counters,
            heartbeat_soon=lambda: self._beat.set(),
        )
        self._reporting = reporting
        self._launcher, self._supervisor = processes.launcher, processes.supervisor
        self._strays, self._concurrency = processes.strays, processes.concurrency
        self._deliveries: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._work: queue.SimpleQueue[tuple[CommandMessage, Delivery] | None] = queue.SimpleQueue()
        self._denied = threading.Event()
        self._beat = threading.Event()
        self._stopping = threading.Event()
        self._relay = CurrentRelay(self._stopping)
        self._again = False
        self._broken: Exception | None = None
        self._end_reading, self._end_writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._end_writing, False)

    @property
    def wake_descriptor(self) -> int:
        """A byte written here (by a signal handler, say) ends :meth:`run`; SIGHUP's number makes it look around.

        Any thread, any time.
        """
        return self._end_writing

    def stop(self) -> None:
        """Ends :meth:`run`, soon. From any thread."""
        os.write(self._end_writing, b"\x00")

    def begin_again(self) -> None:
        """Ends :meth:`run` as :meth:`stop` does, to be begun again. From any thread."""
        self._again = True
        self.stop()

    def report_soon(self) -> None:
        """Sends the next heartbeat now. From any thread."""
        self._beat.set()

    def run(self, watching: Watching) -> bool:
        """Serves until told to stop; returns within three seconds then, five with persistent modules.

        Returns whether to begin again.

        Args:
            watching: tells when something changed here.

        Raises:
            Exception: whatever ended one of the threads.
        """
        self._commands.recover()
        supervising = self._thread("supervisor", self._supervisor.run)
        threads = [
            self._thread("session", self._session),
            self._thread("intake", self._intake),
            *(self._thread(f"sender-{lane.value}", functools.partial(self._sender.run, lane)) for lane in Lane),
            self._thread("heartbeat", self._report),
            self._thread("reload", watching.run),
            *(self._thread(f"worker-{number}", self._carry_out) for number in range(self._concurrency)),
        ]
        for thread in (supervising, *threads):
            thread.start()
        while os.read(self._end_reading, 1)[0] == signal.SIGHUP:
            watching.look_now()
        log.info("stopping")
        watching.stop()
        self._supervisor.stop()
        self._stop(threads)
        supervising.join(_SUPERVISOR_SECONDS)
        log.info("stopped")
        if self._broken is not None:
            raise self._broken
        return self._again

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except MigError as error:
                self._broken = error
                self.stop()
            except Exception as error:
                log.exception("the thread %s broke; the agent stops", name)
                self._broken = error
                self.stop()

        return threading.Thread(target=run, name=name, daemon=True)

    def _stop(self, threads: list[threading.Thread]) -> None:
        self._stopping.set()
        self._commands.stop()
        self._deliveries.put(None)
        for _ in range(self._concurrency):
            self._work.put(None)
        self._launcher.close()
        self._spool.close()
        end = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            if thread.name.startswith("worker"):
                thread.join(max(0.0, end - time.monotonic()))
        self._look_after_records(everything=True)
        self._denied.set()
        self._beat.set()
        for thread in threads:
            if thread.name == "heartbeat" and self._relay.connected:
                thread.join(_GOODBYE_SECONDS)
        self._connector.close()
        self._relay.end()
        for thread in threads:
            thread.join(max(0.05, end - time.monotonic()))

    def _session(self) -> None:
        backoff = Backoff(0.5, 300.0)
        while not self._stopping.is_set():
            relay = self._connector.open(self._stopping.wait)
            if relay is None:
                return
            self._denied.clear()
            if not self._relay.begin(relay, self._deliveries.put):
                return
            self._denied.wait()
            if self._stopping.is_set():
                return
            log.warning("the platform refuses our login; enrolling again")
            self._relay.end()
            self._connector.denied()
            if self._stopping.wait(backoff.next()):
                return

    def _intake(self) -> None:
        while (delivery := self._deliveries.get()) is not None:
            try:
                message = read_message(delivery.body)
                if message.agent != self._agent_id:
                    raise InvalidDocument("message", f"is for another agent, {message.agent}", path="agent")
            except InvalidDocument as error:
                # It belongs to no command of ours, so nobody can be answered; and it must not come again.
                self._counters.count("messages_malformed")
                log.warning("a message from the relay is dropped: %s", error)
                delivery.acknowledge()
                continue
            if isinstance(message, CancelMessage):
                try:
                    self._commands.cancel(message)
                except OSError as error:
                    log.error("a cancel could not be noted, it will come again: %s", error)
                    continue
                delivery.acknowledge()
            else:
                self._work.put((message, delivery))

    def _carry_out(self) -> None:
        while (item := self._work.get()) is not None and not self._stopping.is_set():
            message, delivery = item
            while True:
                try:
                    self._commands.handle(message, delivery.acknowledge)
                    break
                except OSError as error:
                    self._counters.count("disk_errors")
                    log.error("command=%s could not be noted on disk, trying again: %s", message.command, error)
                    if self._stopping.wait(_DISK_RETRY_SECONDS):
                        return

    def _report(self) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            delay = self._reporting.heartbeat_seconds
            try:
                if time.monotonic() - looked >= self._reporting.environment_seconds:
                    looked = time.monotonic()
                    self._reporting.facts.refresh()
                # The heartbeat is made when it can be sent: the first one says what the enrolment gave.
                usable = self._relay.usable(_PUBLISH_SECONDS)
                self._reporting.facts.note("relay", usable.trouble)
                body = self._reporting.heartbeats.make(self._sender.report())
                usable.publish(Kind.HEARTBEAT, body, timeout=_PUBLISH_SECONDS)
                self._counters.count("heartbeats")
                self._sender.relay_works()
            except RelayDenied as error:
                log.warning("the heartbeat was refused: %s", error)
                self._denied.set()
                delay = min(delay, _RETRY_SECONDS)
            except (MigError, OSError) as error:
                log.warning("no heartbeat: %s", error)
                delay = min(delay, _RETRY_SECONDS)
            self._look_after_records()
            self._strays.end()
            if self._reporting.metrics is not None:
                self._reporting.metrics.write(self._sender.report(), connected=self._relay.connected)
            if not self._relay.connected:
                # Perhaps the login is refused: only an attempt to send tells.
                delay = min(delay, _LOST_SECONDS)
            self._wait_for_the_next(delay)
            if not self._stopping.is_set():
                self._beat.clear()
        if self._broken is None and self._relay.connected:
            self._say_goodbye()

    def _wait_for_the_next(self, seconds: float) -> None:
        """Until the next heartbeat is due; sooner when the relay has a trouble, for only sending shows a lost login."""
        before = self._relay.trouble
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._beat.wait(min(left, _TROUBLE_SECONDS)):
            if self._relay.trouble not in ("", before):
                return

    def _say_goodbye(self) -> None:
        """So that the platform knows at once that nobody answers any more."""
        try:
            body = self._reporting.heartbeats.make(self._sender.report(), leaving=True)
            self._relay.usable(0).publish(Kind.HEARTBEAT, body, timeout=_GOODBYE_SECONDS)
        except (MigError, OSError) as error:
            log.info("no goodbye could be sent: %s", error)

    def _look_after_records(self, *, everything: bool = False) -> None:
        try:
            self._commands.look_after(everything=everything)
        except OSError as error:
            log.error("the records could not be looked after: %s", error)

    def _publish(self, kind: Kind, body: bytes) -> None:
        self._relay.usable(_PUBLISH_SECONDS).publish(kind, body, timeout=_PUBLISH_SECONDS)
