"""Runs the persistent modules: starts them, pings them, starts them again, and carries alerts from sources to the sink.

Detectors get copies on the way (:mod:`mig_core.agent.alerts.copies`).

One thread with a selector for all of them (the kernel kills the modules' processes when it ends, see PR_SET_PDEATHSIG).
It always reads every pipe, so a module that answers its pings is never mistaken for one that hangs, however slow the
sink is; what bounds the memory are the windows of :mod:`mig_core.plugin.persistent`, and a source that sends more than
its window is killed. Alerts are passed on as the bytes they came in.
"""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from mig_core.agent.alerts import lines as alert_lines
from mig_core.agent.alerts.copies import AlertCopies
from mig_core.agent.alerts.held import HeldAlerts
from mig_core.agent.alerts.route import AlertRoute
from mig_core.agent.operations.clean_environment import clean_environment
from mig_core.agent.operations.strays import Strays
from mig_core.agent.persistent.record import ModuleRecord, State
from mig_core.agent.persistent.socket_folder import socket_folder
from mig_core.agent.persistent.supervised import Pipe, Supervised
from mig_core.agent.persistent.timing import Timing
from mig_core.domain.document import dump, load
from mig_core.errors import InvalidDocument, MigError
from mig_core.plugin.persistent import MAX_LINE_BYTES, MAX_STATUS_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mig_core.agent.persistent.plan import Plan
    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)

PROGRAM = (sys.executable, "-P", "-m", "mig_core.agent.main")
_OUTBOX_BYTES = 64 << 10


class Supervisor:
    """The persistent modules of this agent.

    Args:
        plan: which, and their tables.
        state: the agent's state directory.
        facts: told to each module at its start.
        memory_bytes: limit of each module's process.
        clock: the time now.
        program: runs ``mig-agent``.
        environment: gives a module's variables.
        strays: ends what modules leave behind.
        timing: how patient it is.

    Raises:
        OSError: the folder of the sockets cannot be made.
    """

    def __init__(
        self,
        plan: Plan,
        state: Path,
        *,
        facts: Callable[[], AgentFacts],
        memory_bytes: int,
        clock: Callable[[], datetime],
        program: Sequence[str] = PROGRAM,
        environment: Callable[[str], Mapping[str, str]] = lambda _name: clean_environment(os.environ),
        strays: Strays | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._facts = facts
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._program = tuple(program)
        self._environment = environment
        self._strays = strays or Strays()
        self._timing = timing or Timing()
        self._plan = plan
        self._state = state / "persistent"
        self._own_sockets = state / "sockets"
        self._sockets = socket_folder(self._own_sockets, plan.modules)
        self._route = AlertRoute(
            HeldAlerts(state / "held"), has_sink=bool(plan.sink), first=int(clock().timestamp() * 1_000_000)
        )
        first = int(clock().timestamp() * 1_000_000)
        self._modules = {
            name: ModuleRecord(
                name, name == plan.sink, self._timing, clock, AlertCopies(first) if name in plan.detectors else None
            )
            for name in sorted(plan.modules)
        }
        self._detectors = [one for one in self._modules.values() if one.copies is not None]
        self._sink = self._modules.get(plan.sink)
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stop_wanted = threading.Event()
        self._stopped_at = 0.0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to run."""
        return not self._modules

    def stop(self) -> None:
        """Ends :meth:`run` within ``Timing.all_end``. From any thread."""
        self._stop_wanted.set()
        os.write(self._wake, b"\x00")

    def health(self) -> dict[str, JSON]:
        """``{name: {state, since, restarts, pid, last_error, alerts, held, status}}``. From any thread."""
        wrong: dict[str, JSON] = {
            name: {"state": State.MISCONFIGURED.value, "last_error": why[:1000]}
            for name, why in self._plan.failures.items()
        }
        return wrong | {name: one.health() for name, one in self._modules.items()}

    def socket_of(self, name: str) -> str:
        """Where the module's process is asked. From any thread.

        Raises:
            MigError: it is not running; says why.
        """
        one = self._modules.get(name)
        if one is None:
            why = self._plan.failures.get(name, f"the settings have no table [persistent.{name}]")
        elif one.process is None:
            why = one.last_error or one.state.value
        elif not one.process.registered:
            why = "it has started and takes no questions yet"
        else:
            return self._socket(name)
        raise MigError(f"module {name} is not running: {why}")

    def run(self) -> None:
        """Serves until :meth:`stop`; then no process is left."""
        self._recover()
        try:
            while True:
                now = time.monotonic()
                if self._stop_wanted.is_set():
                    self._end(now)
                    if not any(one.process for one in self._modules.values()):
                        return
                for one in self._modules.values():
                    self._attend(one, now)
                self._pass_on()
                for key, _ in self._selector.select(self._patience(time.monotonic())):
                    if key.data is None:
                        os.read(self._woken, 4096)
                    else:
                        one, process, pipe = key.data
                        self._serve(one, process, pipe)
        finally:
            for one in self._modules.values():
                if one.process is not None:
                    one.process.kill("outlived its supervisor")
            if self._sockets != self._own_sockets:
                shutil.rmtree(self._sockets, ignore_errors=True)

    def _recover(self) -> None:
        for name, lane in self._route.recover():
            if name in self._modules:
                self._modules[name].lanes.append(lane)

    def _socket(self, name: str) -> str:
        return str(self._sockets / name)

    def _patience(self, now: float) -> float:
        """Seconds until something is due; at most one, for a process may end without closing its pipes."""
        due = [now + (1.0 if self._modules else 3600.0), *(one.due(now) for one in self._modules.values())]
        if self._stopped_at:
            due.append(now + 0.05)
        return max(0.0, min(due) - now)

    # -- processes ----------------------------------------------------------------------------------------------------

    def _attend(self, one: ModuleRecord, now: float) -> None:
        process = one.process
        if process is None:
            if not self._stopped_at and one.may_start(now):
                self._start(one, now)
            return
        status = process.poll()
        if status is not None:
            self._ended(one, process, status, now)
        elif one.ping_due(now):
            if process.unanswered_pings >= self._timing.missed_pings:
                process.kill(f"did not answer {process.unanswered_pings} pings")
            elif not process.listens and one.running_for(now) > self._timing.start:
                process.kill(f"was not ready {self._timing.start:g} s after its start")
            else:
                process.unanswered_pings += process.listens
                process.send({"class": "ping", "number": one.next_ping(now)})
        elif process.messages.ended and one.silent_since(now) > 1.0:
            process.kill("closed its standard output")

    def _start(self, one: ModuleRecord, now: float) -> None:
        facts = self._facts()
        folder = self._state / one.name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._strays.starting() as wanted:
                process = Supervised(one.name, self._program, self._environment(one.name))
                wanted.add(process.pid)
        except OSError as error:
            one.not_started(f"could not be started: {error}", now)
            log.error("module %s %s", one.name, one.last_error)
            return
        table = self._plan.modules[one.name]
        process.send(
            {
                "class": "config",
                "config": dict(table),
                "hostname": facts.name,
                "environment": dict(facts.environment),
                "tags": dict(facts.tags),
                "state": str(folder),
                "socket": self._socket(one.name),
                "memory_bytes": self._memory_bytes,
            }
        )
        one.started(process, now)
        for pipe in (process.messages, process.errors):
            self._selector.register(pipe.descriptor, selectors.EVENT_READ, (one, process, pipe))
        log.info("module %s runs persistently: pid=%d", one.name, process.pid)

    def _ended(self, one: ModuleRecord, process: Supervised, status: int, now: float) -> None:
        for line in process.messages.rest():
            self._heard(one, process, line)
        for line in process.errors.rest():
            self._heard_error(one, process, line)
        self._forget(process.messages.descriptor)
        self._forget(process.errors.descriptor)
        self._forget(process.input)
        process.close()
        self._strays.forget(process.pid)
        self._strays.end()
        if one is self._sink:
            self._route.queue.again()
        if one.copies is not None:
            one.copies.again()
        self._route.source_ended(process.lane, kept=process.kept)
        expected = process.told_to_stop and status == 0
        one.ended("" if expected else process.ending(status), now)
        if expected:
            log.info("module %s has stopped", one.name)
        else:
            log.error("module %s %s; restarts=%d", one.name, one.last_error, one.restarts)

    def _end(self, now: float) -> None:
        """Sources first, then detectors, and the sink when it has everything they sent."""
        self._stopped_at = self._stopped_at or now
        since = now - self._stopped_at
        running = [one for one in self._modules.values() if one.process and one is not self._sink]
        sources = [one.process for one in running if one.process and one.copies is None]
        for process in sources:
            process.stop()
            if since > self._timing.sources_end:
                process.kill("did not stop in time")
        for one in running:
            if one.process and one.copies is not None:
                if since > self._timing.detected or not (sources or len(one.copies)):
                    one.process.stop()
                if since > self._timing.detectors_end:
                    one.process.kill("did not stop in time")
        sink = self._sink.process if self._sink is not None else None
        if sink is not None:
            if since > self._timing.drained or not (running or len(self._route.queue)):
                sink.stop()
            if since > self._timing.all_end:
                sink.kill("did not stop in time")

    # -- pipes --------------------------------------------------------------------------------------------------------

    def _serve(self, one: ModuleRecord, process: Supervised, pipe: Pipe | None) -> None:
        if process is not one.process:
            return
        if pipe is None:
            return  # it may be written to: the next round does
        try:
            lines = pipe.lines()
            if pipe is process.errors:
                for line in lines:
                    self._heard_error(one, process, line)
            else:
                for line in lines:
                    self._heard(one, process, line)
                if process.lane.overfull:
                    process.kill("sent more alerts than it may before they are accepted")
        except InvalidDocument as error:
            process.kill(f"broke the protocol: {error}")
            self._forget(pipe.descriptor)
        if pipe.ended:
            self._forget(pipe.descriptor)

    def _pass_on(self) -> None:
        """Writes what each process is to get."""
        for one in self._modules.values():
            process = one.process
            if process is None:
                continue
            if process.lane.accepted > process.told_accepted and len(process.outbox) < _OUTBOX_BYTES:
                process.told_accepted = process.lane.accepted
                process.send({"class": "accepted", "through": process.told_accepted})
            process.flush()
            taken = self._route.queue if one is self._sink else one.copies
            if taken is not None:
                while len(process.outbox) < _OUTBOX_BYTES and (lines := taken.take()):
                    process.outbox += lines
                    process.flush()
            self._want_writing(one, process)

    def _want_writing(self, one: ModuleRecord, process: Supervised) -> None:
        registered = process.input in self._selector.get_map()
        if process.outbox and not registered:
            self._selector.register(process.input, selectors.EVENT_WRITE, (one, process, None))
        elif registered and not process.outbox:
            self._selector.unregister(process.input)

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    # -- messages -----------------------------------------------------------------------------------------------------

    def _heard(self, one: ModuleRecord, process: Supervised, line: bytes) -> None:
        try:
            alert = alert_lines.read_source(line)
            if alert is None:
                self._heard_message(one, process, line)
                return
            process.last_alert += 1
            if alert[0] != process.last_alert:
                raise InvalidDocument("alert", f"has the id {alert[0]}, expected {process.last_alert}")
            one.alerts += 1
            self._route.take(process.lane, *alert)
            if one.copies is None:
                for detector in self._detectors:
                    cast("AlertCopies", detector.copies).put(process.lane.module, alert[1])
        except (InvalidDocument, KeyError, TypeError, ValueError) as error:
            process.kill(f"broke the protocol: {type(error).__name__}: {error}")

    def _heard_message(self, one: ModuleRecord, process: Supervised, line: bytes) -> None:
        message = load(line, subject="message", max_bytes=MAX_LINE_BYTES)
        if not isinstance(message, dict):
            raise InvalidDocument("message", "is no object")
        said = cast("dict[str, Any]", message)
        match said.get("class"):
            case "ping":
                process.listens, process.unanswered_pings = True, 0
            case "register":
                process.registered = said["socket"] == self._socket(one.name)
            case "log":
                _heard_log(one, process, int(said["level"]), str(said["message"]))
            case "status":
                if len(line) > MAX_STATUS_BYTES + 1024:
                    raise InvalidDocument("status", f"is longer than {MAX_STATUS_BYTES} bytes")
                one.status = dict(said["status"])
            case "accepted" if one is self._sink or one.copies is not None:
                (self._route if one.copies is None else one.copies).accepted(int(said["through"]))
            case "alert":
                self._heard(one, process, alert_lines.from_source(int(said["id"]), dump(dict(said["alert"])))[:-1])
            case "kept":
                process.kept = True
            case other:
                raise InvalidDocument("message", f"has the class {other!r:.60}")

    def _heard_error(self, one: ModuleRecord, process: Supervised, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if text.strip():
            process.complaint = text.strip()[:500]
            one.log.say(logging.WARNING, text)


def _heard_log(one: ModuleRecord, process: Supervised, level: int, text: str) -> None:
    if level >= logging.ERROR:
        process.complaint = text[:500]
    one.log.say(level, text)
