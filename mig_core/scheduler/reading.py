"""What one message of an agent amounts to: an answer, a heartbeat, or nothing, counted under a name that says why.

The relay's word about the sender proves nothing: a document counts only when the agent's own signature does, and when
it speaks of that agent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.authorization import Check
from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import read_heartbeat
from mig_core.domain.envelope import read_envelope
from mig_core.domain.ids import check_agent_id
from mig_core.domain.messages import Kind
from mig_core.domain.proof import Proof
from mig_core.domain.result import read_answer
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.identity import verify_agent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.agent import Heartbeat
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Inbound
    from mig_core.domain.result import Answer

_PAYLOAD_TYPES = {Kind.RESULT: envelopes.RESULT, Kind.HEARTBEAT: envelopes.HEARTBEAT}
_MAX_BYTES = {Kind.RESULT: envelopes.MAX_RESULT_BYTES, Kind.HEARTBEAT: envelopes.MAX_ACTION_BYTES}

_CHECKS = frozenset(one.value for one in Check)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A message and what it says: an answer or a heartbeat, or else why it counts for nothing."""

    message: Inbound
    answer: Answer | None = None
    heartbeat: Heartbeat | None = None
    counted: str = ""
    """Like ``result.forged``."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A message and its envelope, of which nothing is verified yet; None when it is no envelope."""

    message: Inbound
    envelope: Envelope | None
    signer: AgentId | None
    """Who claims to have signed."""


def refused_check(reason: str) -> str:
    """The check that a refusal names; ``other`` for whatever is no word of ours."""
    named = reason.removeprefix("refused (").partition(")")[0] if reason.startswith("refused (") else ""
    return named if named in _CHECKS else "other"


def open_message(message: Inbound) -> Opened:
    """The message's envelope."""
    try:
        envelope = read_envelope(
            message.body, expected_type=_PAYLOAD_TYPES[message.kind], max_bytes=_MAX_BYTES[message.kind]
        )
        signer = check_agent_id(envelope.signatures[0].keyid, subject="envelope", path="signatures[0].keyid")
        return Opened(message, envelope, signer)
    except InvalidDocument as error:
        _log.debug("a %s that came from %s cannot be read: %s", message.kind.value, message.agent, error)
        return Opened(message, None, None)


def read_message(opened: Opened, keys: Mapping[AgentId, bytes]) -> Reading:
    """What an opened message says.

    Args:
        opened: the message.
        keys: of agents that are approved and not retired.
    """
    message, envelope, signer = opened.message, opened.envelope, opened.signer
    kind = message.kind.value
    if envelope is None or signer is None:
        return Reading(message, counted=f"{kind}.malformed")
    if signer not in keys or signer != message.agent:
        _log.debug("a %s by %s came over the relay login of %s, or the agent is not known", kind, signer, message.agent)
        return Reading(message, counted=f"{kind}.foreign")
    try:
        verify_agent(envelope, keys[signer])
        if message.kind is Kind.RESULT:
            answer = read_answer(envelope.payload, Proof.of(envelope))
            if answer.agent == signer:
                return Reading(message, answer=answer)
        else:
            heartbeat = read_heartbeat(envelope.payload)
            if heartbeat.facts.id == signer:
                return Reading(message, heartbeat=heartbeat)
    except SignatureInvalid:
        return Reading(message, counted=f"{kind}.forged")
    except InvalidDocument as error:
        _log.debug("a %s signed by %s cannot be read: %s", kind, signer, error)
        return Reading(message, counted=f"{kind}.malformed")
    return Reading(message, counted=f"{kind}.foreign")
