"""What the store hands out: one frozen class a table row, in the words of the domain."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from mig_core.domain.agent import AgentState
    from mig_core.domain.command import ActionState, CommandState
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import ActionId, AgentId, CommandId, Fingerprint
    from mig_core.domain.proof import Proof


class Permission(StrEnum):
    """What an investigator may do at the API. What agents run is decided by their own ACL, not by this."""

    READ = "read"
    """See actions, results, agents, numbers."""
    ASK = "ask"
    """Create, sign and cancel actions."""
    AGENTS = "agents"
    """Approve and retire agents, add and revoke enrolment secrets."""
    INVESTIGATORS = "investigators"
    """Add investigators and change their permissions."""
    LOG = "log"
    """Read the platform log."""
    PROPOSE = "propose"
    """Propose questions, for somebody else to sign: what an assistant or a playbook needs beside ``read``."""


class ProposalState(StrEnum):
    """What became of a proposal."""

    OPEN = "open"
    SIGNED = "signed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A question that somebody would like asked."""

    id: str
    proposer: Fingerprint
    proposer_name: str
    payload: bytes
    """As :func:`mig_core.domain.proposal.read_proposal` reads it."""
    state: ProposalState
    created_at: datetime
    decided_at: datetime | None
    decided_by_name: str
    """Empty while it is open."""
    answer: str
    """Why it was rejected."""
    action: ActionId | None
    """What was signed."""


@dataclass(frozen=True, slots=True)
class LogWish:
    """Which entries of the platform log; what is empty or None restricts nothing."""

    since: datetime | None = None
    until: datetime | None = None
    who: str = ""
    """A fingerprint or a name."""
    what: tuple[str, ...] = ()
    """Words of entries: ``agent.retired``, or ``agent`` for all that begin so."""
    subject: str = ""
    """What was done something to: its id, fingerprint or name."""
    address: str = ""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One entry of the platform log."""

    at: datetime
    id: str
    what: str
    who: str
    """A fingerprint; empty: nobody who had logged in."""
    who_name: str
    address: str
    """Of the client; empty: it was no request to mig-api."""
    login: str
    """The database login that did it."""
    subject: str
    subject_name: str
    detail: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class EnrolmentSecret:
    """What admits agents, by its name; the secret itself is with whoever was shown it once."""

    name: str
    created_at: datetime
    created_by: Fingerprint
    expires_at: datetime | None = None
    uses_left: int | None = None
    """How many agents more it admits; None: any number."""
    used: int = 0
    last_used_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the agents are given that it admits, beneath the tags of their own."""
    relay: str = ""
    """Where these agents listen unless their settings say it: ``amqps://…``; empty: long polling at the API."""
    revoked_at: datetime | None = None
    revoked_by: str = ""


@dataclass(frozen=True, slots=True)
class Investigator:
    """A person who may log in."""

    fingerprint: Fingerprint
    name: str
    public_key: bytes
    """Armored."""
    permissions: frozenset[Permission]
    active: bool
    created_at: datetime
    removed_at: datetime | None = None
    """When it was removed: it is listed no more, and its name stands for what it did."""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as the platform knows it. ``name`` is what it calls itself: targets ask about that."""

    id: AgentId
    name: str
    public_key: bytes
    state: AgentState
    relay: str
    version: str = ""
    mode: str = ""
    pid: int = 0
    environment: Mapping[str, JSON] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, int] = field(default_factory=dict)
    persistent: Mapping[str, JSON] = field(default_factory=dict)
    """Persistent module -> its health."""
    spool: Mapping[str, JSON] = field(default_factory=dict)
    """What waits on the endpoint for the relay, as its last heartbeat said."""
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    heartbeat_sent_at: datetime | None = None
    """By the agent's clock."""
    enrolled_at: datetime | None = None
    shown_name: str = ""
    """What people see: the name, when no other agent holds it, else ``name~id``. No two agents are shown alike."""
    two_sessions_at: datetime | None = None
    """When two processes were last seen to speak for it."""
    ledger_back_at: datetime | None = None
    """When its ledger was last shorter than before."""
    enrolled_with: str = ""
    """The enrolment secret that admitted it, ``(settings)`` or ``(approved)``; empty: not known."""
    given_tags: Mapping[str, str] = field(default_factory=dict)
    given_relay: str = ""
    """What that secret gives."""
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """Something that happened to an agent."""

    at: datetime
    kind: str
    """``name_changed``, ``two_sessions``, ``ledger_went_back``."""
    detail: str


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action and where its commands stand.

    The sum of ``counts`` always equals ``targeted``.
    """

    id: ActionId
    name: str
    target: str
    envelope: bytes
    state: ActionState
    valid_from: datetime
    expire_after: datetime
    created_at: datetime
    created_by: Fingerprint
    signers: tuple[Fingerprint, ...]
    targeted: int = 0
    counts: Mapping[CommandState, int] = field(default_factory=dict)
    found: int = 0
    """Commands whose answer found something."""
    partial: int = 0
    """Commands that succeeded without looking at everything."""
    finished_at: datetime | None = None
    reason: str = ""
    """Why it ended without commands, if it did: ``no agent matches the target``."""
    cancelled_by: Fingerprint | None = None
    """Who cancelled it, if anybody did. It ends, as ``cancelled``, when the last agent that has it has answered."""
    cancelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One line of the books.

    ``results`` is JSON as the agent sent it (a list, one entry an operation), or None before the answer.
    """

    id: CommandId
    action: ActionId
    agent: AgentId
    agent_name: str
    state: CommandState
    reason: str
    found: bool | None
    complete: bool | None
    results: Sequence[JSON] | None
    queued_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    position: str = ""
    """Opaque; where a stream of answers goes on after this one."""
    proof: Proof | None = None
    """What the agent signed, if it was asked for, and if there is an answer and it was kept."""
    public_key: bytes = b""
    """The agent's, with the proof."""
    results_text: str | None = None
    """The results as they are stored, JSON in one line, instead of ``results``: where they are only passed on."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    """The messages of an action's commands on the relay whose queue is the store's own."""

    relay: str
    head: str
    """How each begins; ``%s`` stands for the command's id, then for the agent's."""
    tail: bytes
    """How all of them go on."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A command to be handed to the relay."""

    id: CommandId
    agent: AgentId
    relay: str
    action: ActionId
    envelope: bytes
    expire_after: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Which commands of a fan-out its scheduler hands over itself: they are leased to it from the beginning."""

    relays: Sequence[str]
    limit: int
    """How many at most: as many as are handed over well before the lease ends."""
    lease: timedelta


@dataclass(frozen=True, slots=True)
class FannedOut:
    """What became of an action that was fanned out."""

    count: int
    """Its commands."""
    claimed: Sequence[Unsent] = ()
    """Those that the caller has to hand over."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A command that its agent was sent."""

    id: CommandId
    agent: AgentId
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class UnsentCancel:
    """A cancel to be handed to one agent's relay."""

    action: ActionId
    agent: AgentId
    relay: str
    envelope: bytes
    expire_after: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """Numbers for whoever watches the platform."""

    waiting: Mapping[str, int]
    """Queue -> entries, counted up to 100,000."""
    oldest: Mapping[str, float]
    """Queue -> seconds that its oldest entry has waited; 0 when it is empty."""
    latencies: Mapping[str, Sequence[tuple[float, int]]]
    """``first`` and ``last`` (answer) -> upper bound of a bucket in seconds and how many took so long; not
    cumulative, the last bound is infinite."""
    latency_sums: Mapping[str, float]
    """Seconds in all."""
    spool: Mapping[str, float]
    """Of agents that are online or idle: ``answers`` and ``bytes`` in all."""
    database_bytes: int


class Recording(StrEnum):
    """What became of an answer."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    """The command already had this or another answer; nothing changed."""
    FOREIGN = "foreign"
    """No such command was sent to that agent; nothing changed."""
    LATE = "late"
    """The command had already expired; nothing changed."""
