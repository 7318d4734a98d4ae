"""Checking answers without believing the platform: against what agents signed, and the question's own signatures.

An agent's id derives from its public key, so a key that comes from the same database as the answer is as good as one
from elsewhere: with another key it would be another agent. What nobody signs stays the platform's word: an agent's
name, when something arrived, and that a command had no answer.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mig_core.domain import envelope as envelopes
from mig_core.domain.action import read_action
from mig_core.domain.command import CommandState
from mig_core.domain.envelope import MAX_ACTION_BYTES, MAX_RESULT_BYTES, envelope_from_json
from mig_core.domain.ids import agent_id
from mig_core.domain.result import read_answer
from mig_core.domain.storable import clean_json, clean_text, same
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.identity import verify_agent

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_core.domain.result import Answer
    from mig_core.pgp.base import Keyring

Document = dict[str, Any]


def check_answer(command: Document) -> Answer | None:
    """The answer of a command document that was fetched with its proof, as the agent signed it.

    Gives None where there is nothing to check: the platform closed the command (nobody answered, or the answer could
    not be recorded), or it is still open.

    Raises:
        SignatureInvalid: the document shows something that this agent did not sign, or the proof is missing.
        InvalidDocument: the proof cannot be read.
    """
    agent = command["agent"]
    proof = command.get("proof")
    if proof is None:
        if command["results"] or command["found"] or command["state"] == CommandState.SUCCESS.value:
            raise SignatureInvalid(agent, "no signed document was kept with this answer")
        return None
    try:
        key = base64.b64decode(proof["publickey"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDocument("proof", "is not base64", path="publickey") from error
    if agent_id(key) != agent:
        raise SignatureInvalid(agent, "the public key that is shown is another agent's")
    envelope = envelope_from_json(proof["envelope"], expected_type=envelopes.RESULT, max_bytes=2 * MAX_RESULT_BYTES)
    verify_agent(envelope, key)
    answer = read_answer(envelope.payload)
    for name, shown, signed in _compared(command, answer):
        if not same(shown, signed):
            raise SignatureInvalid(agent, f"the platform shows another {name} than the agent signed")
    return answer


def _compared(command: Document, answer: Answer) -> list[tuple[str, JSON, JSON]]:
    """What is shown beside what was signed."""
    return [
        ("command", command["id"], answer.command),
        ("action", command["action"], answer.action),
        ("agent", command["agent"], answer.agent),
        ("state", command["state"], answer.state.value),
        ("reason", command["reason"], clean_text(answer.reason)),
        ("verdict (found)", command["found"], answer.found),
        ("verdict (complete)", command["complete"], answer.complete),
        ("results", command["results"], clean_json([one.to_json() for one in answer.results])),
    ]


@dataclass(frozen=True, slots=True)
class CheckedQuestion:
    """Who signed a question."""

    signed_by: tuple[str, ...]
    """Fingerprints whose signature over exactly this question was checked."""
    unknown: tuple[str, ...]
    """Fingerprints that are said to have signed, whose key is not at hand."""


def check_question(action: Document, keyring: Keyring) -> CheckedQuestion:
    """The signatures over the question that an action document shows.

    Raises:
        SignatureInvalid: a signature does not fit, or something else is shown than was signed.
        InvalidDocument: the envelope cannot be read.
    """
    envelope = envelope_from_json(action["envelope"], expected_type=envelopes.ACTION, max_bytes=2 * MAX_ACTION_BYTES)
    content = read_action(envelope.payload)
    operations: list[JSON] = [{"module": one.module, "parameters": one.parameters} for one in content.operations]
    compared: list[tuple[str, JSON, JSON]] = [
        ("id", action["id"], content.id),
        ("name", action["name"], clean_text(content.name)),
        ("target", action["target"], clean_text(content.target)),
        ("question", action["operations"], operations),
        ("beginning", action["validfrom"], format_time(content.valid_from)),
        ("end", action["expireafter"], format_time(content.expire_after)),
    ]
    for name, shown, signed in compared:
        if not same(shown, signed):
            raise SignatureInvalid(action["creator"], f"the platform shows another {name} than was signed")
    known = {key.fingerprint for key in keyring.keys()}  # noqa: SIM118  a keyring is no dictionary
    checked, unknown = [], []
    for signature in envelope.signatures:
        if signature.keyid in known:
            checked.append(str(keyring.verify(envelope.signed_bytes(), signature)))
        else:
            unknown.append(signature.keyid)
    if len(set(action["signers"]) - set(checked)) > len(unknown):
        raise SignatureInvalid(action["creator"], "the platform shows more signers than have signed")
    return CheckedQuestion(tuple(checked), tuple(unknown))
