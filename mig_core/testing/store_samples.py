"""Agents, actions and answers for tests of the store and of what uses it: valid, and told apart by name."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.action import Action, Operation
from mig_core.domain.agent import AgentFacts, Enrolment, Heartbeat
from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.ids import ActionId, Fingerprint, agent_id, uuid7
from mig_core.domain.result import Answer, Coverage, ModuleResult
from mig_core.store.rows import Investigator, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.ids import AgentId
    from mig_core.store.base import Store
    from mig_core.store.rows import ActionRow, CommandRow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SIGNER = Fingerprint("A" * 40)
OTHER_SIGNER = Fingerprint("B" * 40)
ENVELOPE = b'{"payloadType":"sample"}'
LEASE = timedelta(seconds=30)


def later(seconds: float) -> datetime:
    """So much after NOW."""
    return NOW + timedelta(seconds=seconds)


def digest(text: str) -> bytes:
    """32 bytes that differ by text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def sample_agent_id(name: str) -> AgentId:
    """The id of the agent that :func:`enrolment` makes for this name."""
    return agent_id(digest(name))


def facts(
    name: str, *, tags: Mapping[str, str] | None = None, environment: Mapping[str, JSON] | None = None
) -> AgentFacts:
    """What agent ``name`` says of itself."""
    return AgentFacts(
        id=sample_agent_id(name),
        name=name,
        version="1.0",
        mode="daemon",
        pid=4242,
        started=NOW - timedelta(days=1),
        environment={"os": "linux", "addresses": ["192.0.2.7/24"]} if environment is None else environment,
        tags=tags or {},
        modules=("file",),
        failures={"mig_pkg": "not installed"},
    )


def enrolment(name: str, *, sent: datetime = NOW, relay: str = "https", of: AgentFacts | None = None) -> Enrolment:
    """The enrolment of agent ``name``."""
    return Enrolment(of or facts(name), digest(name), relay, "", sent)


def heartbeat(name: str, sequence: int, *, of: AgentFacts | None = None) -> Heartbeat:
    """A sign of life of agent ``name``."""
    return Heartbeat(of or facts(name), sequence, NOW, {"commands": sequence}, {"audit": {"restarts": sequence}})


def action(name: str = "sample", *, target: str = "all", begins: float = -60, ends: float = 600) -> Action:
    """An action whose window lies around NOW, in seconds; its id derives from its name."""
    identifier = ActionId(uuid7(NOW, digest(name)[:10]))
    return Action(identifier, name, target, later(begins), later(ends), (Operation("file", {}),))


def module_result(*, found: bool = True, complete: bool = True, elements: JSON = None) -> ModuleResult:
    """What one operation answered."""
    return ModuleResult(found, True, elements, None, (), Coverage(complete=complete))


def answer(
    command: CommandRow,
    *,
    state: CommandState = CommandState.SUCCESS,
    results: Sequence[ModuleResult] = (),
    reason: str = "",
) -> Answer:
    """The answer of a command's own agent."""
    return Answer(command.id, command.action, command.agent, state, reason, tuple(results), NOW, NOW)


def investigator(name: str, *permissions: Permission, fingerprint: Fingerprint | None = None) -> Investigator:
    """An active investigator, with all permissions unless some are named."""
    key = fingerprint or Fingerprint(digest(name).hex().upper()[:40])
    return Investigator(key, name, b"armored key", frozenset(permissions or Permission), True, NOW)


async def enrolled(store: Store, *names: str, relay: str = "https") -> list[AgentId]:
    """Approved agents, online since NOW."""
    for name in names:
        await store.agents.enrol(
            enrolment(name, relay=relay), approved=True, token_digest=digest(f"token {name}"), now=NOW
        )
    return [sample_agent_id(name) for name in names]


async def scheduled(store: Store, asked: Action, *, state: ActionState = ActionState.SCHEDULED) -> ActionRow:
    """The action in the store, signed by SIGNER."""
    return await store.actions.create(asked, ENVELOPE, signers=[SIGNER], state=state, now=NOW)


async def fanned_out(store: Store, *names: str, asked: Action | None = None) -> list[CommandRow]:
    """Agents of these names, and an action for all agents there are, already fanned out; its commands by agent name."""
    await enrolled(store, *names)
    wanted = asked or action()
    await scheduled(store, wanted)
    await store.actions.fan_out(wanted.id, wanted.parsed_target(), now=NOW)
    commands, _ = await store.commands.list(wanted.id, limit=1000)
    return list(commands)
