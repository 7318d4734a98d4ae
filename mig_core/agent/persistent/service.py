"""What a persistent module uses while it serves, in its own process: the other end of the agent's supervisor.

Threads: the main thread runs the module's ``serve``; ``messages`` reads what the agent says and answers pings at once,
whatever the module does; ``alerts`` (in a sink) and ``questions`` call the module's handlers. All of them write lines
under one lock, each with one call; the agent always reads.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, cast

from mig_core.agent.alerts import lines as alert_lines
from mig_core.agent.alerts.batches import AlertBatches
from mig_core.agent.alerts.window import AlertWindow
from mig_core.agent.persistent.question_socket import QuestionSocket
from mig_core.domain.document import JSON, dump, load
from mig_core.durable import write_all
from mig_core.errors import InvalidDocument
from mig_core.plugin.persistent import MAX_LINE_BYTES, MAX_STATUS_BYTES, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

log = logging.getLogger(__name__)

END_SECONDS = 5.0
"""From the stop, or the agent's end, to the kernel's end of this process."""
HUNG_SECONDS = 60.0
"""From the last ping to the kernel's end of this process: for one that hangs and whose agent is dead."""
_MAX_LOG_CHARACTERS = 4000


class Channel:
    """The two pipes to the agent, as lines. Writing is thread-safe."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = reading
        self._writing = writing
        self._lock = threading.Lock()
        self._gone = False

    def write(self, line: bytes) -> bool:
        """Sends a line (with its end); False when the agent is gone."""
        with self._lock:
            if not self._gone:
                try:
                    write_all(self._writing, line)
                except OSError:
                    self._gone = True
            return not self._gone

    def send(self, message: dict[str, JSON]) -> bool:
        """Sends a message; False when the agent is gone."""
        return self.write(dump(message) + b"\n")


class ChildService:
    """:class:`mig_core.plugin.persistent.Service` over a channel.

    Args:
        channel: to the agent.
        configuration: the first message.
        state: the private folder.
        woken: a descriptor that becomes readable when this process is told to end by a signal.
    """

    def __init__(self, channel: Channel, configuration: Mapping[str, Any], state: Path, woken: int) -> None:
        self.config: Mapping[str, JSON] = configuration["config"]
        self.hostname: str = configuration["hostname"]
        self.environment: Mapping[str, JSON] = configuration["environment"]
        self.tags: Mapping[str, str] = configuration["tags"]
        self.state = state
        self.stopping = threading.Event()
        self.told_to_stop = False
        """Whether the agent wants the end, or is gone; the module itself may set ``stopping``, too."""
        self.window = AlertWindow(channel.write, state / "alerts.unsent")
        self._socket: str = configuration["socket"]
        self._channel = channel
        self._woken = woken
        self._batches = AlertBatches(
            lambda number: channel.send({"class": "accepted", "through": number}), self.stopping
        )

    def listen(self, rest: bytes) -> None:
        """Begins to read messages, and says so; ``rest`` is what came behind the first one."""
        self._channel.send({"class": "ping", "number": 0})
        threading.Thread(target=self._listen, args=(rest,), name="messages", daemon=True).start()

    def log(self, level: int, message: str) -> None:
        """See the protocol."""
        self._channel.send({"class": "log", "level": level, "message": message[:_MAX_LOG_CHARACTERS]})

    def status(self, status: Mapping[str, JSON]) -> None:
        """See the protocol."""
        line = dump({"class": "status", "status": dict(status)})
        if len(line) > MAX_STATUS_BYTES:
            log.warning("a status of %d bytes is not reported, at most %d are", len(line), MAX_STATUS_BYTES)
        else:
            self._channel.write(line + b"\n")

    def alert(self, alert: Mapping[str, JSON], *, timeout: float | None = None) -> bool:
        """See the protocol."""
        return self.window.send(alert_lines.encode(alert), timeout)

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        """See the protocol."""
        QuestionSocket(self._socket, handler)
        self._channel.send({"class": "register", "socket": self._socket})

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        """See the protocol."""
        self._batches.start(handler)

    def finish(self, seconds: float) -> None:
        """After ``serve``: what is under way arrives, or is kept."""
        self.stopping.set()
        self._batches.wake()
        self.window.close(gone=False)
        self._batches.finish(seconds)
        kept = self.window.finish(seconds)
        if kept:
            log.info("%d alerts are kept for the next start", kept)
        self._channel.send({"class": "kept"})

    def _listen(self, rest: bytes) -> None:
        try:
            while True:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._heard(line)
                ready, _, _ = select.select([self._channel.reading, self._woken], [], [])
                if self._woken in ready:
                    break
                chunk = os.read(self._channel.reading, 1 << 18)
                if not chunk:
                    break
                rest += chunk
                if len(rest) > 2 * MAX_LINE_BYTES and b"\n" not in rest:
                    raise InvalidDocument("message from the agent", "is too long")
        except (InvalidDocument, KeyError, OSError) as error:
            log.error("the agent cannot be understood: %s", error)
        self._stop(gone=True)

    def _heard(self, line: bytes) -> None:
        alert = alert_lines.read_sink(line)
        if alert is not None:
            self._batches.put(Incoming(*alert))
            return
        message = cast("dict[str, Any]", load(line, subject="message from the agent", max_bytes=MAX_LINE_BYTES))
        match message.get("class"):
            case "ping":
                self._channel.write(line + b"\n")
                if not self.stopping.is_set():
                    signal.setitimer(signal.ITIMER_REAL, HUNG_SECONDS)
            case "accepted":
                self.window.accepted(message["through"])
            case "alert":
                self._batches.put(Incoming(message["id"], message["module"], dump(message["alert"])))
            case "stop":
                self._stop(gone=False)

    def _stop(self, *, gone: bool) -> None:
        # The kernel ends us even if the module holds the interpreter and nothing here runs again.
        signal.setitimer(signal.ITIMER_REAL, END_SECONDS)
        self.window.close(gone=gone)
        self.told_to_stop = True
        self.stopping.set()
        self._batches.wake()
