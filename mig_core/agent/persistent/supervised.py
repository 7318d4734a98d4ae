"""One process of a persistent module, as the supervisor holds it: pipes, buffers, end.

Nothing here blocks: the pipes are read and written as far as they go. All that comes out of them is bounded before it
is looked at, for the process may have read hostile data.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from mig_core.agent.alerts.queue import Lane
from mig_core.domain.document import JSON, dump
from mig_core.errors import InvalidDocument
from mig_core.plugin.persistent import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READ_BYTES = 1 << 18
_MAX_ERROR_LINE = 4000


class Pipe:
    """A reading end, taken apart into lines."""

    def __init__(self, descriptor: int, *, longest: int, cut: bool) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.ended = False
        self._rest = b""
        self._longest = longest
        self._cut = cut

    def lines(self) -> list[bytes]:
        """What one read gives; ``ended`` says when nothing will come any more.

        Raises:
            InvalidDocument: a line is too long, and is not to be cut.
        """
        chunk = self._read()
        return [] if chunk is None else self._split(chunk)

    def rest(self) -> list[bytes]:
        """All that is still in the pipe, when nobody writes any more."""
        lines: list[bytes] = []
        with contextlib.suppress(InvalidDocument):
            while not self.ended and (chunk := self._read()) is not None:
                lines += self._split(chunk)
        return lines

    def _read(self) -> bytes | None:
        try:
            return os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _split(self, chunk: bytes) -> list[bytes]:
        self.ended = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        too_long = len(self._rest) > self._longest
        if too_long and not self._cut:
            raise InvalidDocument("message", f"is longer than {self._longest} bytes")
        if self._cut and self._rest and (too_long or self.ended):
            lines.append(self._rest)
            self._rest = b""
        return lines


class Supervised:
    """A process that runs.

    Args:
        name: the module's.
        program: the command line that runs ``mig-agent``.
        environment: its variables.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, name: str, program: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [*program, "-P", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None and self._process.stderr is not None
        self.input = self._process.stdin.fileno()
        os.set_blocking(self.input, False)
        self.messages = Pipe(self._process.stdout.fileno(), longest=MAX_LINE_BYTES, cut=False)
        self.errors = Pipe(self._process.stderr.fileno(), longest=_MAX_ERROR_LINE, cut=True)
        self.lane = Lane(name.encode("ascii"))
        self.outbox = bytearray()
        self.last_alert = 0
        self.told_accepted = 0
        self.listens = False
        """Whether it has come so far that it answers pings."""
        self.unanswered_pings = 0
        self.registered = False
        self.kept = False
        """Whether it has said that what it had under way is in its own folder."""
        self.told_to_stop = False
        self.complaint = ""
        """Its last line that sounds like a reason for ending."""
        self.killed_for = ""
        """Why the supervisor killed it."""

    @property
    def pid(self) -> int:
        """Its process id, and its group's."""
        return self._process.pid

    def send(self, message: dict[str, JSON]) -> None:
        """Puts a message into the outbox."""
        self.outbox += dump(message) + b"\n"

    def stop(self) -> None:
        """Tells it to stop, once."""
        if not self.told_to_stop:
            self.told_to_stop = True
            self.send({"class": "stop"})

    def flush(self) -> None:
        """Writes what the pipe takes; what a dead process does not take is forgotten."""
        while self.outbox:
            try:
                written = os.write(self.input, memoryview(self.outbox)[: 1 << 16])
            except BlockingIOError:
                return
            except OSError:
                self.outbox.clear()
                return
            del self.outbox[:written]

    def kill(self, why: str) -> None:
        """Kills the process and its group. The first reason counts."""
        self.killed_for = self.killed_for or why
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit status (negative for a signal) once it has ended; what it left in its group is killed then."""
        # WNOWAIT: the dead leader keeps its id, and so the group's, until all of the group has been killed.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()

    def close(self) -> None:
        """Closes the pipes."""
        for file in (self._process.stdin, self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()

    def ending(self, status: int) -> str:
        """How it ended, for a person."""
        if self.killed_for:
            return f"was killed: it {self.killed_for}"
        if status == -signal.SIGALRM:
            return "did not end in time, or heard no ping for a minute"
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-status).name}"
            return f"was ended by signal {-status}"
        words = f"ended with status {status}"
        return f"{words}: {self.complaint}" if self.complaint else words
