"""Questions to a simulated fleet while parts die, and what the books say became of every command."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Operation
from mig_core.domain.envelope import Envelope
from mig_core.errors import MigError

if TYPE_CHECKING:
    from benchmarks.topology.containers import Containers
    from mig_core.client.client import MigClient
    from mig_core.pgp.base import Signer

TARGET = "tags.environment = 'simulated'"
EXPIRY = timedelta(minutes=10)
_PARAMETERS = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
_BOOKS = """
    SELECT a.targeted, count(c.*), count(DISTINCT c.agent_id), count(*) FILTER (WHERE c.state = 'success'),
           count(*) FILTER (WHERE c.id IS NOT NULL AND c.finished_at IS NULL),
           coalesce(extract(epoch FROM max(c.finished_at) - a.created_at), 0)
      FROM actions a LEFT JOIN commands c ON c.action_id = a.id WHERE a.id = '{action}' GROUP BY a.id
"""


@dataclass(slots=True)
class Sums:
    """What the books say of one action."""

    action: str
    targeted: int
    commands: int
    agents: int
    success: int
    open: int
    seconds: float
    """From the question to the last answer."""

    def complete(self, agents: int) -> bool:
        """Whether each agent was asked once, and answered once."""
        each = {self.targeted, self.commands, self.agents, self.success}
        return each == {agents} and not self.open


@dataclass(slots=True)
class Load:
    """Asks the whole fleet over and over, from a thread of its own."""

    client: MigClient
    signer: Signer
    pause: float
    asked: list[str] = field(default_factory=list)
    refused: int = 0
    """How often a question was not taken at once; it was then sent again, as it was signed."""
    longest: float = 0.0
    """Seconds in which no question could be sent, at most."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No further question."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(120)

    def _run(self) -> None:
        while not self._stop.is_set():
            action = compose_action([Operation("file", _PARAMETERS)], name="topology", target=TARGET, expiry=EXPIRY)  # type: ignore[arg-type]  # plain JSON
            self._send(self.signer.sign(Envelope(envelopes.ACTION, action.to_payload())), str(action.id))
            self._stop.wait(self.pause)

    def _send(self, envelope: Envelope, action: str) -> None:
        """Until it is in the books; what was sent once and not confirmed is looked for first."""
        began = time.monotonic()
        while not self._stop.is_set():
            try:
                self.client.create_action(envelope)
                break
            except MigError:
                self.refused += 1
            try:
                self.client.action(action)
                break
            except MigError:
                time.sleep(0.5)
        else:
            return
        self.longest = max(self.longest, time.monotonic() - began)
        self.asked.append(action)


def sums_of(containers: Containers, action: str) -> Sums:
    """The books about one action."""
    row = containers.sql(_BOOKS.format(action=action)).split("|")
    targeted, commands, agents, success, unanswered = (int(one) for one in row[:5])
    return Sums(action, targeted, commands, agents, success, unanswered, float(row[5]))
