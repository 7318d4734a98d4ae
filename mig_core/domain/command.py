"""Commands: one agent's copy of an action, the states it goes through, and the message that carries it.

A command message is not signed: the agent believes nothing in it but the investigators' envelope. The id only says
which line of the books the answer belongs to.
"""

from __future__ import annotations

from enum import StrEnum

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump, load, members
from mig_core.domain.envelope import Envelope, envelope_from_json
from mig_core.domain.ids import AgentId, CommandId, check_agent_id, check_uuid
from mig_core.records import dataclass


class CommandState(StrEnum):
    """Where a command stands. It moves forward only: queued, sent, then exactly one of the final states."""

    QUEUED = "queued"
    """In the books, not yet handed to the relay; or handed to it within the last two seconds."""
    SENT = "sent"
    """The relay has confirmed it."""
    SUCCESS = "success"
    """Run; the answer says found or not found, complete or partial."""
    FAILED = "failed"
    """A module could not do its work."""
    REFUSED = "refused"
    """The agent said no; the reason names the check."""
    TIMEOUT = "timeout"
    """The module's time ran out; what was found before is kept."""
    KILLED = "killed"
    """Ended for its memory or processor use, or because it took the agent down twice."""
    CANCELLED = "cancelled"
    """An investigator cancelled the action before the answer."""
    EXPIRED = "expired"
    """No answer before the validity window ended."""

    @property
    def is_final(self) -> bool:
        """Whether the books are closed for this command."""
        return self not in (CommandState.QUEUED, CommandState.SENT)


ANSWERED = frozenset(
    {
        CommandState.SUCCESS,
        CommandState.FAILED,
        CommandState.REFUSED,
        CommandState.TIMEOUT,
        CommandState.KILLED,
        CommandState.CANCELLED,
    }
)
"""The states an agent may report. ``expired`` is the scheduler's alone."""


class ActionState(StrEnum):
    """Where an action stands."""

    PENDING = "pending"
    """Waits for more signatures."""
    SCHEDULED = "scheduled"
    """Waits for its window to begin, or for a scheduler."""
    INFLIGHT = "inflight"
    """Fanned out; commands are under way."""
    COMPLETED = "completed"
    """Every command is in a final state (there may have been no target at all)."""
    CANCELLED = "cancelled"
    """Cancelled by a signed cancel; every command is in a final state."""
    EXPIRED = "expired"
    """The window ended before it had enough signatures."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (ActionState.COMPLETED, ActionState.CANCELLED, ActionState.EXPIRED)


COMMAND_HEAD = '{"kind":"command","command":"%s","agent":"%s","action":'
"""How a command message begins, with its command's id and its agent's."""


def command_tail(action: Envelope) -> bytes:
    """How the messages of all commands of one action go on after :data:`COMMAND_HEAD`."""
    return action.to_bytes() + b"}"


def command_bytes(command: CommandId, agent: AgentId, tail: bytes) -> bytes:
    """A command message, whole."""
    return (COMMAND_HEAD % (command, agent)).encode("ascii") + tail


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """What an agent is sent for one command."""

    command: CommandId
    agent: AgentId
    action: Envelope

    def to_bytes(self) -> bytes:
        """The message as it travels."""
        return command_bytes(self.command, self.agent, command_tail(self.action))


@dataclass(frozen=True, slots=True)
class CancelMessage:
    """What an agent is sent when an action is cancelled."""

    agent: AgentId
    cancel: Envelope

    def to_bytes(self) -> bytes:
        """The message as it travels."""
        return dump({"kind": "cancel", "agent": self.agent, "cancel": self.cancel.to_json()})


def read_message(raw: bytes) -> CommandMessage | CancelMessage:
    """The message in a relay delivery.

    Raises:
        InvalidDocument: it is neither.
    """
    subject = "message"
    max_bytes = envelopes.MAX_ACTION_BYTES + 4096
    fields = members(load(raw, subject=subject, max_bytes=max_bytes), subject=subject)
    kind = fields.text("kind", max_length=20)
    agent = check_agent_id(fields.take("agent"), subject=subject, path="agent")
    if kind == "command":
        command = CommandId(check_uuid(fields.take("command"), subject=subject, path="command"))
        action = envelope_from_json(fields.take("action"), expected_type=envelopes.ACTION)
        fields.close()
        return CommandMessage(command, agent, action)
    if kind != "cancel":
        fields.refuse("kind", f"must be command or cancel, got {kind!r}")
    cancel = envelope_from_json(fields.take("cancel"), expected_type=envelopes.CANCEL)
    fields.close()
    return CancelMessage(agent, cancel)
