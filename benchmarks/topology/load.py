"""Questions to a simulated fleet while parts die, and what the books say became of every command."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.topology.containers import PartFailed
from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Operation
from mig_core.domain.envelope import Envelope
from mig_core.errors import MigError

if TYPE_CHECKING:
    from benchmarks.topology.containers import Containers
    from mig_core.client.client import MigClient
    from mig_core.pgp.base import Signer

UNDER_WAY = 3
"""Questions that may have open commands when another one goes out: a slow machine is asked less often."""
TARGET = "tags.environment = 'simulated'"
EXPIRY = timedelta(minutes=10)
_UNDER_WAY = "SELECT count(*) FROM actions WHERE state IN ('scheduled', 'inflight')"
_PARAMETERS = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
_BOOKS = """
    SELECT a.targeted, count(c.*), count(DISTINCT c.agent_id), count(*) FILTER (WHERE c.state = 'success'),
           count(*) FILTER (WHERE c.id IS NOT NULL AND c.finished_at IS NULL),
           coalesce((a.final_counts->>'success')::int, 0), a.state, count(*) FILTER (WHERE c.found), a.final_found,
           extract(epoch FROM a.created_at),
           coalesce(extract(epoch FROM max(c.finished_at) FILTER (WHERE g.relay = 'https')), 0),
           coalesce(extract(epoch FROM max(c.finished_at) FILTER (WHERE g.relay = 'amqp')), 0)
      FROM actions a LEFT JOIN commands c ON c.action_id = a.id LEFT JOIN agents g ON g.id = c.agent_id
     WHERE a.id = '{action}' GROUP BY a.id
"""
LEFT_BEHIND = """
    SELECT 'commands handed to nobody=' || count(*) FROM unsent_commands
    UNION ALL SELECT 'messages for agents=' || count(*) FROM relay_messages WHERE expires > now()
    UNION ALL SELECT 'messages of agents=' || count(*) FROM relay_inbound
    UNION ALL SELECT 'set aside=' || count(*) FROM set_aside
"""
"""What must be empty when nobody is asked any more."""


@dataclass(slots=True)
class Sums:
    """What the books say of one action."""

    action: str
    targeted: int
    commands: int
    agents: int
    success: int
    open: int
    summed: int
    """Answers, as the action's own sums say, which are carried on with each of them."""
    state: str
    found: int
    found_summed: int
    asked_at: float
    last_https: float
    last_amqp: float
    """When the last answer over this relay came, seconds of the epoch."""

    @property
    def seconds(self) -> float:
        """From the question to the last answer."""
        return max(self.last_https, self.last_amqp) - self.asked_at

    def complete(self, agents: int) -> bool:
        """Whether each agent was asked once, and answered once, and the sums say the same."""
        each = {self.targeted, self.commands, self.agents, self.success, self.summed}
        return each == {agents} and not self.open and self.state == "completed" and self.found == self.found_summed


@dataclass(slots=True)
class Load:
    """Asks the whole fleet over and over, from a thread of its own."""

    client: MigClient
    signer: Signer
    pause: float
    containers: Containers
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
            if not self._has_room():
                self._stop.wait(1.0)
                continue
            action = compose_action([Operation("file", _PARAMETERS)], name="topology", target=TARGET, expiry=EXPIRY)  # type: ignore[arg-type]  # plain JSON
            self._send(self.signer.sign(Envelope(envelopes.ACTION, action.to_payload())), str(action.id))
            self._stop.wait(self.pause)

    def _has_room(self) -> bool:
        try:
            return int(self.containers.sql(_UNDER_WAY)) < UNDER_WAY
        except PartFailed:  # the database is being replaced: questions go out all the same
            return True

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
    targeted, commands, agents, success, unanswered, summed = (int(one or 0) for one in row[:6])
    found, found_summed, times = int(row[7]), int(row[8] or 0), [float(one) for one in row[9:]]
    return Sums(action, targeted, commands, agents, success, unanswered, summed, row[6], found, found_summed, *times)
