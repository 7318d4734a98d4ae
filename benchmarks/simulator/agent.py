"""One simulated agent's documents: enrolment, heartbeats and answers, signed with a real Ed25519 key.

What a real agent does and this one does not: it believes the investigators' signatures without looking (verifying takes
5 ms of an endpoint's own time, not of the platform's), and it makes up the module's result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.action import read_action
from mig_core.domain.agent import AgentFacts, Enrolment, Heartbeat
from mig_core.domain.command import CommandMessage, CommandState, read_message
from mig_core.domain.result import Answer, Coverage, ModuleResult
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.domain.ids import CommandId

VERSION = "simulated"
_OPTIONS: dict[str, JSON] = {
    "maxdepth": 0,
    "maxerrors": 0,
    "matchall": True,
    "macroal": False,
    "mismatch": None,
    "matchlimit": 0,
}


class SimulatedAgent:
    """An agent without modules.

    Args:
        number: unique in the fleet; names it.
        relay: ``https`` or ``amqp``.
        finds: whether its answers say that something was found.
        started: when it began to live.
    """

    def __init__(self, number: int, relay: str, *, finds: bool, started: datetime) -> None:
        self._key = AgentKey.generate()
        self._relay = relay
        self._finds = finds
        self._sequence = 0
        self._answered = 0
        self._run: set[CommandId] = set()
        self.id = self._key.agent_id
        self.facts = AgentFacts(
            id=self.id,
            name=f"simulated{number:05}.example.net",
            version=VERSION,
            mode="daemon",
            pid=1000 + number,
            started=started,
            environment={
                "os": "linux",
                "arch": "amd64",
                "ident": "Debian 12 bookworm",
                "init": "systemd",
                "kernel": "6.1.0-40-amd64",
                "addresses": [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/8"],
            },
            tags={"environment": "simulated"},
            modules=("file",),
        )

    def enrolment(self, secret: str, now: datetime) -> bytes:
        """The signed request to be known."""
        request = Enrolment(self.facts, self._key.public_key, self._relay, secret, now)
        return self._key.sign(envelopes.ENROL, request.to_payload()).to_bytes()

    def heartbeat(self, now: datetime) -> bytes:
        """The next signed sign of life."""
        self._sequence = max(self._sequence + 1, int(now.timestamp() * 1000))
        beat = Heartbeat(self.facts, self._sequence, now, {"commands": self._answered})
        return self._key.sign(envelopes.HEARTBEAT, beat.to_payload()).to_bytes()

    def answer(self, body: bytes, now: datetime) -> bytes | None:
        """The signed answer to a message that came over the relay; None to a cancel, and to a command it has run.

        As a real agent: what its journal knows is acknowledged, and its answer is already on the way.

        Raises:
            InvalidDocument: the message is neither command nor cancel.
        """
        message = read_message(body)
        if not isinstance(message, CommandMessage) or message.command in self._run:
            return None
        self._run.add(message.command)
        action = read_action(message.action.payload)
        answer = Answer(
            command=message.command,
            action=action.id,
            agent=self.id,
            state=CommandState.SUCCESS,
            reason="",
            results=tuple(self._result(one.parameters) for one in action.operations),
            started=now,
            finished=now,
        )
        self._answered += 1
        return self._key.sign(envelopes.RESULT, answer.to_payload()).to_bytes()

    def _result(self, parameters: dict[str, JSON]) -> ModuleResult:
        """What the module ``file`` says after a look at one small directory."""
        searches = parameters.get("searches")
        elements: dict[str, JSON] = {label: [] for label in searches} if isinstance(searches, dict) else {}
        if self._finds:
            for label in elements:
                elements[label] = [_row("etc/motd", searches[label] if isinstance(searches, dict) else None)]
        hits = len(elements) if self._finds else 0
        statistics: dict[str, JSON] = {
            "filescount": 2,
            "openfailed": 0,
            "totalhits": hits,
            "exectime": "412.3µs",
        }
        coverage = Coverage(True, {"files": 2, "directories": 1, "bytes": 0})
        return ModuleResult(hits > 0, True, elements, statistics, (), coverage)


def _row(path: str, search: JSON) -> JSON:
    echo = {key: value for key, value in search.items() if value} if isinstance(search, dict) else {}
    return {
        "file": path,
        "search": {**echo, "options": _OPTIONS},
        "fileinfo": {"size": 9, "mode": "-rw-r--r--", "lastmodified": "2026-01-02 03:04:05.678901234 +0000 UTC"},
    }
