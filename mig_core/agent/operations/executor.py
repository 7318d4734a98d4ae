"""Runs one operation in a process of its own and says how it ended; the agent's side.

The soft deadline is the module's own (``context.deadline``): a module that heeds it returns what it found, marked
incomplete. Two seconds later the whole process group is killed, and what the module handed over as partial is the
answer. Nothing of a plugin runs in the agent's own process: parsing parameters and gathering facts happen in such
children too. The child that has read an operation's parameters can stay, and run the operation when it is asked to.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from mig_core.agent.operations.ending import Ending
from mig_core.agent.operations.frames import FrameKind, receive_frame, send_frame
from mig_core.domain import envelope as envelopes
from mig_core.domain.command import CommandState
from mig_core.domain.document import JSON, dump, load, members
from mig_core.domain.result import ModuleResult, read_module_result
from mig_core.errors import ConfigurationError, InvalidDocument, MigError, ModuleUnknown, ParameterError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.agent.operations.launcher import Launched, Launcher
    from mig_core.config.agent import ModuleSettings

log = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""From a module's own deadline to the end of its process."""
PARSE_SECONDS = 5.0
GATHER_SECONDS = 20.0
MAX_PAYLOAD_BYTES = envelopes.MAX_RESULT_BYTES // 4 * 3 - (64 << 10)
"""Largest answer: an envelope in base64 must hold it."""


class Interruption:
    """A way to end a command's processes from another thread. ``why`` is empty until then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._target: tuple[Launcher, Launched] | None = None
        self.why = ""

    def interrupt(self, why: str) -> None:
        """Kills what runs, and keeps anything further from starting. The first reason counts."""
        with self._lock:
            self.why = self.why or why
            target = self._target
        if target is not None:
            target[0].kill(target[1])

    def watch(self, launcher: Launcher, launched: Launched) -> None:
        """Says what an interruption has to kill from now on."""
        with self._lock:
            self._target = (launcher, launched)
            interrupted = bool(self.why)
        if interrupted:
            launcher.kill(launched)


class Prepared:
    """A process that has read an operation's parameters and waits: to run the operation, or for its end.

    Whoever has one closes it, used or not; closing it again does nothing.
    """

    def __init__(self, launched: Launched, module: str) -> None:
        self._launched: Launched | None = launched
        self._module = module

    def take(self, module: str) -> Launched | None:
        """The process, once; None: it has ended, was used, or is another module's."""
        launched, self._launched = self._launched, None
        if launched is not None and (module != self._module or launched.ended.is_set()):
            launched.connection.close()
            return None
        return launched

    def close(self) -> None:
        """Lets the process end, if nobody has taken it."""
        if self._launched is not None:
            self._launched.connection.close()
            self._launched = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended. ``state`` is final, or ``sent`` when it was interrupted without an answer."""

    state: CommandState
    reason: str
    result: ModuleResult
    cpu_seconds: float = 0.0
    max_rss_kib: int = 0


class Running(Protocol):
    """Who knows the processes of persistent modules: the supervisor."""

    def socket_of(self, name: str) -> str:
        """Where the module's process is asked.

        Raises:
            MigError: it is not running; says why.
        """
        ...


class Executor:
    """Runs operations within the limits the endpoint's owner has set. Thread-safe.

    Args:
        launcher: gives processes.
        settings: the limits.
        running: knows the persistent modules; None: none of them runs.
    """

    def __init__(self, launcher: Launcher, settings: ModuleSettings, *, running: Running | None = None) -> None:
        self._launcher = launcher
        self._settings = settings
        self._running = running

    def enabled(self, name: str) -> bool:
        """Whether the module is installed, works, and local policy allows it."""
        return name in self._launcher.start().modules

    def parse(self, name: str, raw: object) -> None:
        """Returns when the module takes the parameters; tried in a child.

        Raises:
            ModuleUnknown: nothing enabled here provides the module.
            ParameterError: the parameters are not usable, or could not be looked at in time.
        """
        self.prepare(name, raw).close()

    def prepare(self, name: str, raw: object) -> Prepared:
        """As :meth:`parse`; the child stays, to run the operation with these parameters (:meth:`run`).

        Raises:
            ModuleUnknown: as :meth:`parse`.
            ParameterError: as :meth:`parse`.
        """
        catalogue = self._launcher.start()
        if name not in catalogue.modules:
            why = catalogue.failures.get(name)
            text = f"module {name!r} cannot be loaded: {why}" if why else f"module {name!r} is not available"
            raise ModuleUnknown(name, text, next_step=f"available: {', '.join(catalogue.modules) or 'none'}")
        request = {"what": "parse", "module": name, "parameters": raw, "stays": True}
        # Its limit of processor time is that of the longest run, until it is told of a shorter one.
        request["limits"] = self._limits(self._settings.timeout.total_seconds())
        launched = self._launcher.launch(name)
        with contextlib.ExitStack() as left:
            left.enter_context(launched.connection)
            ending = self._converse(launched, request, PARSE_SECONDS, Interruption())
            if ending.kind is FrameKind.FINAL:
                left.pop_all()  # it stays
                return Prepared(launched, name)
            self._end(launched, ending)
        if ending.kind is FrameKind.PARAMETERS:
            problem = json.loads(ending.body)
            raise ParameterError(problem["path"], problem["problem"], module=name, next_step=problem["next_step"])
        raise ParameterError("", f"could not be looked at: {ending.words()}", module=name)

    def check_config(self, name: str, table: Mapping[str, JSON]) -> None:
        """Returns when the persistent module can use its table of the settings; tried in a child.

        Raises:
            ConfigurationError: names the key.
            PluginError: the table could not be looked at.
        """
        ending = self._talk({"what": "check", "module": name, "config": table}, PARSE_SECONDS, Interruption())
        if ending.kind is FrameKind.PARAMETERS:
            fault = json.loads(ending.body)
            own, key = f"persistent.{name}", fault["path"]
            path = key if key == own or key.startswith(own + ".") else ".".join(part for part in (own, key) if part)
            raise ConfigurationError("agent.toml", path, fault["problem"], next_step=fault["next_step"])
        if ending.kind is not FrameKind.FINAL:
            raise PluginError(name, f"could not look at its settings: {ending.words()}")

    def gather(self, name: str) -> dict[str, JSON]:
        """The endpoint's facts; ``name`` is the configured name, or empty.

        Raises:
            PluginError: they could not be gathered.
        """
        ending = self._talk({"what": "environment", "name": name}, GATHER_SECONDS, Interruption())
        if ending.kind is not FrameKind.FINAL:
            raise PluginError("environment", ending.words())
        facts = load(ending.body, subject="environment", max_bytes=256 << 10)
        if not isinstance(facts, dict):
            raise PluginError("environment", "is not an object")
        return facts

    def get_ready(self) -> None:
        """Begins to start what processes are forked from, if it rests."""
        self._launcher.wake()

    def run(
        self,
        module: str,
        parameters: Mapping[str, JSON],
        *,
        seconds: float,
        interruption: Interruption,
        environment: Mapping[str, JSON],
        tags: Mapping[str, str],
        max_bytes: int = MAX_PAYLOAD_BYTES,
        action: str = "",
        window_ends: str = "",
        prepared: Prepared | None = None,
    ) -> Outcome:
        """Runs one operation to its end, whatever that is; raises nothing.

        Args:
            module: its name.
            parameters: as the investigator wrote them.
            seconds: until its soft deadline; the policy's own limit is applied too.
            interruption: ends it from elsewhere.
            environment: facts for the module.
            tags: tags for the module.
            max_bytes: largest result.
            action: the id of the action, for the module.
            window_ends: when its window ends, for the module.
            prepared: a process that has read these very parameters; it is used up.
        """
        seconds = max(0.0, min(seconds, self._settings.timeout.total_seconds()))
        request: dict[str, Any] = {
            "what": "run",
            "module": module,
            "parameters": parameters,
            "threads": self._settings.threads,
            "privacy": self._settings.extra_privacy,
            "environment": environment,
            "tags": tags,
            "max_bytes": max_bytes,
            "action": action,
            "window_ends": window_ends,
        }
        try:
            request["persist_socket"] = self._socket_of(module)
            waiting = None if prepared is None else prepared.take(module)
            ending = self._talk(request, seconds, interruption, max_bytes=max_bytes + 1024, waiting=waiting)
            return self._outcome(module, ending, seconds, interruption)
        except MigError as error:
            # Stopping takes the launcher away too: that is no failure of the operation.
            state = CommandState.CANCELLED if interruption.why else CommandState.FAILED
            return Outcome(state, str(error), self._nothing(module, str(error)))

    def _socket_of(self, module: str) -> str:
        if module not in self._launcher.catalogue.persistent:
            return ""
        if self._running is None:
            raise MigError(f"module {module} is not running: no persistent module is")
        return self._running.socket_of(module)

    def _limits(self, seconds: float) -> dict[str, int]:
        """For a process that may work for so long."""
        return {
            "memory_bytes": self._settings.memory_mb << 20,
            "niceness": self._settings.niceness,
            "cpu_seconds": math.ceil((seconds + GRACE_SECONDS) * self._settings.threads) + 5,
        }

    def _talk(
        self,
        request: dict[str, Any],
        seconds: float,
        interruption: Interruption,
        *,
        max_bytes: int = 1 << 20,
        waiting: Launched | None = None,
    ) -> Ending:
        """A request to a new process, or to one that waits, until its end."""
        request["limits"] = self._limits(seconds)
        launched = waiting or self._launcher.launch(request.get("module", ""))
        with launched.connection:
            ending = self._converse(launched, request, seconds, interruption, max_bytes=max_bytes)
            self._end(launched, ending)
        return ending

    def _converse(
        self,
        launched: Launched,
        request: dict[str, Any],
        seconds: float,
        interruption: Interruption,
        *,
        max_bytes: int = 1 << 20,
    ) -> Ending:
        """A request to a process, and what it says to it."""
        ending = Ending(self._settings.memory_mb)
        connection = launched.connection
        interruption.watch(self._launcher, launched)
        now = time.monotonic()
        request["deadline"] = now + seconds
        hard = now + seconds + GRACE_SECONDS
        try:
            connection.settimeout(seconds + GRACE_SECONDS)
            send_frame(connection, FrameKind.REQUEST, dump(request))
            while True:
                connection.settimeout(max(0.001, hard - time.monotonic()))
                frame = receive_frame(connection, max_bytes=max_bytes)
                if frame is None:
                    break
                if frame[0] is FrameKind.PARTIAL:
                    ending.partial = frame[1]
                    continue
                ending.kind, ending.body = frame
                break
        except TimeoutError:
            ending.late = True
        except InvalidDocument as error:
            ending.kind, ending.body = FrameKind.BROKEN, dump(str(error))
        except OSError:
            pass  # it has died; its status says more
        return ending

    def _end(self, launched: Launched, ending: Ending) -> None:
        """Waits for the end of a process that has said its last word, and sees to it."""
        if ending.kind is None or not launched.ended.wait(0.5):
            self._launcher.kill(launched)
        launched.ended.wait(GRACE_SECONDS)
        ending.launched = launched

    def _outcome(self, module: str, ending: Ending, seconds: float, interruption: Interruption) -> Outcome:
        usage = (ending.launched.cpu_seconds, ending.launched.max_rss_kib) if ending.launched else (0.0, 0)
        if ending.kind is FrameKind.FINAL:
            final = members(
                load(ending.body, subject="module's answer", max_bytes=len(ending.body)), subject="module's answer"
            )
            late = final.boolean("late")
            result = read_module_result(final.object("result"))
            if late and not result.coverage.complete:
                reason = f"module {module}: its time ({seconds:g} s) ran out; what was found is kept"
                return Outcome(CommandState.TIMEOUT, reason, result, *usage)
            if not result.success:
                reason = f"module {module}: {result.errors[0] if result.errors else 'failed without saying why'}"
                return Outcome(CommandState.FAILED, reason[:1000], result, *usage)
            return Outcome(CommandState.SUCCESS, "", result, *usage)
        if interruption.why:
            state, words = CommandState.CANCELLED, interruption.why
        elif ending.late:
            state, words = CommandState.TIMEOUT, f"its time ({seconds:g} s) ran out and it did not stop by itself"
        else:
            state, words = ending.state(), ending.words()
        reason = f"module {module}: {words}"
        kept = self._partial(ending.partial)
        if kept is None:
            return Outcome(state, reason[:1000], self._nothing(module, words), *usage)
        result = replace(kept, errors=(*kept.errors, words), coverage=replace(kept.coverage, complete=False))
        return Outcome(state, f"{reason[:900]}; what was found is kept", result, *usage)

    def _partial(self, raw: bytes) -> ModuleResult | None:
        if not raw:
            return None
        try:
            return read_module_result(
                members(load(raw, subject="partial result", max_bytes=len(raw)), subject="partial result")
            )
        except InvalidDocument as error:
            log.warning("%s", error)
            return None

    def _nothing(self, module: str, problem: str) -> ModuleResult:
        labelled = self._launcher.catalogue.modules.get(module, False)
        return ModuleResult.failure(problem, elements={} if labelled else None)
