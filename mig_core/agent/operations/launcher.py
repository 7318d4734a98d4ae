"""The agent's side of the zygote: starts it, asks it for processes, hears of their end, starts it again if it died.

One thread (``launcher``) reads what the zygote says; callers wait on events.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from mig_core.agent.operations.strays import Strays
from mig_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 160_000
READY_SECONDS = 60.0
"""How long a zygote may take to load all modules."""
_STOP_SECONDS = 0.7
_PAUSE_SECONDS = 0.1
"""For so long nothing happens before what is not needed now is done."""


class Companion(Protocol):
    """What gets ready for the next operation, too, and goes to rest with the zygote. It raises nothing."""

    def get_ready(self) -> None:
        """Nothing happens at the moment. Called by the thread that reads what the zygote says."""
        ...

    def rest(self) -> None:
        """The zygote ends. Called by the same thread."""
        ...


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the zygote could load."""

    modules: Mapping[str, bool] = field(default_factory=dict)
    """Name -> whether its parameters are labelled (its elements are then an object, also on failure)."""
    failures: Mapping[str, str] = field(default_factory=dict)
    persistent: Mapping[str, bool] = field(default_factory=dict)
    """Name of a module that runs persistently -> whether it takes alerts."""
    network: frozenset[str] = frozenset()
    """Modules that open connections."""
    detectors: frozenset[str] = frozenset()
    """Modules that run persistently and are given copies of alerts."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Module -> the version of the distribution it comes from."""
    path: tuple[str, ...] = ()
    """Folders in which plugins were looked for."""


@dataclass(slots=True)
class Launched:
    """A process for one operation."""

    number: int
    connection: socket.socket
    """Requests down, frames up; closed by the caller."""
    generation: int
    control: socket.socket
    """To the zygote that started it."""
    pid: int = 0
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    status: int | None = None
    """Exit status, negative for a signal; None when nobody could say."""
    cpu_seconds: float = 0.0
    max_rss_kib: int = 0
    problem: str = ""

    def end(self) -> None:
        """Its end is known: nobody waits for more than it has sent, though what it left behind holds the connection."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)
        self.started.set()
        self.ended.set()


class Launcher:
    """The zygote and its children, seen from the agent. Thread-safe.

    Args:
        allow: names of modules that may be loaded; empty: all.
        deny: names that may not.
        preload: further imports worth having ready.
        rest_after: seconds without any operation after which the zygote ends; 0: never. The next operation starts it
            again.
        program: the command line that starts a zygote; the descriptor is added.
        environment: the zygote's variables, and so every module's; None: this process's.
        strays: told when the zygote has died and left some.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        preload: Sequence[str] = ("hashlib", "json"),
        rest_after: float = 0.0,
        program: Sequence[str] = (sys.executable, "-P", "-m", "mig_core.agent.operations"),
        environment: Mapping[str, str] | None = None,
        strays: Strays | None = None,
    ) -> None:
        self._configuration = {"allow": list(allow), "deny": list(deny), "preload": list(preload)}
        self._rest_after = rest_after
        self._program = tuple(program)
        self._environment = dict(environment) if environment is not None else None
        self._strays = strays or Strays()
        self._lock = threading.Lock()
        self._starting = threading.RLock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._running: dict[int, Launched] = {}
        self._next = 1
        self._generation = 0
        self._retired: dict[int, tuple[socket.socket, subprocess.Popen[bytes], threading.Thread]] = {}
        """Generation -> a zygote that starts no more operations and ends with the last of those it has started."""
        self._closing = threading.Event()
        self._known: dict[str, Any] | None = None
        """What the last zygote found; the next one need not look again where nothing was installed since."""
        self.catalogue = Catalogue()
        self.companion: Companion | None = None

    @property
    def pid(self) -> int:
        """The zygote's process id; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Catalogue:
        """Starts the zygote, or does nothing if it runs; returns what it could load.

        Raises:
            PluginError: it did not become ready.
        """
        with self._starting:
            with self._lock:
                if self._control is not None or self._closing.is_set():
                    return self.catalogue
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [*self._program, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=self._environment,
                )
            try:
                ours.settimeout(READY_SECONDS)
                configuration = {**self._configuration, **({"known": self._known} if self._known else {})}
                ours.send(json.dumps(configuration).encode("ascii"))
                ready = json.loads(ours.recv(MAX_MESSAGE_BYTES))
            except (OSError, ValueError) as error:
                ours.close()
                process.kill()
                process.wait()
                raise PluginError(
                    "zygote", f"did not become ready: {error}", next_step="see the lines before this one"
                ) from error
            ours.settimeout(self._rest_after or None)
            with self._lock:
                self._generation += 1
                self._control, self._process = ours, process
                self._known = ready["known"]
                self.catalogue = Catalogue(
                    ready["modules"],
                    ready["failures"],
                    ready["persistent"],
                    frozenset(ready["network"]),
                    frozenset(ready["detectors"]),
                    ready["versions"],
                    tuple(ready["path"]),
                )
                self._reader = threading.Thread(
                    target=self._read, args=(ours, process, self._generation), name="launcher", daemon=True
                )
                self._reader.start()
                if self._closing.is_set():
                    ours.shutdown(socket.SHUT_RDWR)  # it ends by itself then
            log.debug("zygote %d is ready with %s", process.pid, ", ".join(self.catalogue.modules) or "no module")
            return self.catalogue

    def wake(self) -> None:
        """Begins to start a zygote that rests, and waits for nothing: an operation may be about to come."""
        with self._lock:
            if self._control is not None or self._closing.is_set():
                return
        threading.Thread(target=self._start_ahead, name="launcher-wake", daemon=True).start()

    def _start_ahead(self) -> None:
        with contextlib.suppress(PluginError, OSError):  # the operation that comes tries again, and says why
            self.start()

    def renew(self) -> Catalogue:
        """Has plugins looked for again: a new zygote takes the place of the present one, which finishes what it runs.

        Raises:
            PluginError: the new one did not become ready; the next operation tries again.
        """
        with self._starting:  # one that is being started may have looked before
            with self._lock:
                control, process, reader = self._control, self._process, self._reader
                if control is not None and process is not None and reader is not None:
                    self._control = self._process = self._reader = None
                    self._retired[self._generation] = (control, process, reader)
                    self._release(self._generation)
                self._known = None
            return self.start()

    def _release(self, generation: int) -> None:
        """Lets a retired zygote go when nothing of it runs. Called with the lock."""
        if generation in self._retired and all(one.generation != generation for one in self._running.values()):
            with contextlib.suppress(OSError):
                self._retired[generation][0].shutdown(socket.SHUT_RDWR)

    def launch(self, module: str = "") -> Launched:
        """A new process that waits for its request.

        Args:
            module: whose code the process should have; empty: none.

        Raises:
            PluginError: no process can be had.
        """
        while (launched := self._launch(module)) is None:
            pass  # it went to rest, or died, at this very moment: once more
        return launched

    def _launch(self, module: str) -> Launched | None:
        self.start()
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            control = self._control
            if control is None:
                ours.close()
                if self._closing.is_set():
                    raise PluginError("zygote", "is not running")
                return None
            launched = Launched(self._next, ours, self._generation, control)
            self._next += 1
            self._running[launched.number] = launched
            try:
                message = {"do": "start", "number": launched.number, "module": module}
                socket.send_fds(control, [json.dumps(message).encode("ascii")], [theirs.fileno()])
            except OSError as error:
                del self._running[launched.number]
                ours.close()
                raise PluginError("zygote", f"went away: {error}") from error
        return launched

    def kill(self, launched: Launched) -> None:
        """Kills the process and all of its group, soon. Harmless when it has ended."""
        with self._lock:
            if launched.ended.is_set():
                return
            with contextlib.suppress(OSError):  # its zygote is gone, and it with it
                message = {"do": "kill", "number": launched.number}
                launched.control.send(json.dumps(message).encode("ascii"))

    def close(self) -> None:
        """Ends the zygote, which kills every process it started."""
        with self._lock:
            self._closing.set()
            zygotes = [*self._retired.values()]
            if self._control is not None and self._process is not None and self._reader is not None:
                zygotes.append((self._control, self._process, self._reader))
        for control, _, _ in zygotes:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
        for _, process, reader in zygotes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join(_STOP_SECONDS)

    def _read(self, control: socket.socket, process: subprocess.Popen[bytes], generation: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            while raw := self._next_message(control):
                self._heard(cast("dict[str, Any]", json.loads(raw)))
        with self._lock:
            resting = self._control is not control
            self._retired.pop(generation, None)
            closing = self._closing.is_set()
            if not resting:
                self._control = None
            companion = self.companion
            orphans = [one for one in self._running.values() if one.generation == generation]
            self._running = {key: one for key, one in self._running.items() if one.generation != generation}
        control.close()
        if companion is not None:
            companion.rest()
        if resting:
            process.wait()  # it ends by itself, because the socket is closed
            log.debug("zygote %d rests", process.pid)
        elif not closing:
            process.kill()
            status = process.wait()
            log.error("the process that launches modules ended with status %s; it will be started again", status)
        for launched in orphans:
            # The leader died with the zygote; what it had started in its group may live.
            if launched.pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(launched.pid, signal.SIGKILL)
            launched.problem = "the process that launches modules died"
            launched.end()
        if not resting:
            self._strays.end(_STOP_SECONDS)

    def _next_message(self, control: socket.socket) -> bytes:
        """What the zygote says next; nothing when it is gone, or has been idle for so long that it may rest."""
        companion = self.companion if not 0.0 < self._rest_after <= _PAUSE_SECONDS else None
        while not _readable(control, self._rest_after if companion is None else _PAUSE_SECONDS):
            pausing, companion = companion, None
            with self._lock:
                if self._running or self._closing.is_set():
                    continue
                if pausing is None:
                    if self._control is control:
                        self._control = self._process = self._reader = None
                    return b""
            pausing.get_ready()
        return control.recv(MAX_MESSAGE_BYTES)

    def _heard(self, message: dict[str, Any]) -> None:
        with self._lock:
            launched = self._running.get(message["number"])
            if launched is None:
                return
            if message["event"] == "started":
                launched.pid = message["pid"]
                launched.started.set()
                return
            del self._running[launched.number]
            self._release(launched.generation)
        launched.status = message.get("status")
        launched.cpu_seconds = message.get("cpu", 0.0)
        launched.max_rss_kib = message.get("rss", 0)
        launched.problem = message.get("problem", "")
        launched.end()


def _readable(control: socket.socket, seconds: float) -> bool:
    """Whether there is something to be read within these seconds; 0: without an end."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    return bool(poll.poll(seconds * 1000 or None))
