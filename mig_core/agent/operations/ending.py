"""How a conversation with a child ended: in which state that leaves an operation, and in words for a person."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from mig_core.agent.operations.frames import FrameKind
from mig_core.domain.command import CommandState

if TYPE_CHECKING:
    from mig_core.agent.operations.launcher import Launched


class Ending:
    """One such end.

    Args:
        memory_mb: what the child might have, for the words.
    """

    def __init__(self, memory_mb: int) -> None:
        self._memory_mb = memory_mb
        self.kind: FrameKind | None = None
        self.body = b""
        self.partial = b""
        self.late = False
        self.launched: Launched | None = None

    def state(self) -> CommandState:
        """The state of an operation that gave no result, was not late and not interrupted."""
        status = self.launched.status if self.launched else None
        if self.kind is FrameKind.MEMORY:
            return CommandState.KILLED
        if self.kind is None and status is not None and -status in (signal.SIGKILL, signal.SIGXCPU, signal.SIGABRT):
            return CommandState.KILLED
        return CommandState.FAILED

    def words(self) -> str:
        """What happened, for a person."""
        if self.late:
            return "took too long"
        if self.kind is FrameKind.MEMORY:
            return f"killed: it needed more than {self._memory_mb} MiB of memory"
        if self.kind in (FrameKind.BROKEN, FrameKind.PARAMETERS):
            said = json.loads(self.body)
            return str(said["path"] + ": " + said["problem"] if isinstance(said, dict) else said)[:2000]
        launched = self.launched
        if launched is None or launched.status is None:
            return (launched.problem if launched else "") or "its process ended without a trace"
        if launched.status == -signal.SIGXCPU:
            return "killed: it used more processor time than it may"
        if launched.status in (-signal.SIGKILL, -signal.SIGABRT):
            near = launched.max_rss_kib > self._memory_mb * 1024 * 0.8
            by = f"more than {self._memory_mb} MiB of memory" if near else "probably too much memory"
            return f"killed by {signal.Signals(-launched.status).name}: {by}"
        if launched.status < 0:
            return f"its process was ended by {signal.Signals(-launched.status).name}"
        return f"its process ended with status {launched.status} and no result"
