"""Rows of the store as the JSON that clients see. The schemas stand in :mod:`.schemas`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump, load
from mig_core.domain.envelope import Envelope, read_envelope
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.rows import ActionRow, AgentEvent, AgentRow, CommandRow, Investigator

STORED_ENVELOPE = 2 * envelopes.MAX_ACTION_BYTES
"""What we stored ourselves may have grown by signatures."""


def time_or_null(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, or null."""
    return None if moment is None else format_time(moment)


def investigator_document(row: Investigator) -> dict[str, JSON]:
    """An investigator, without the key."""
    return {
        "fingerprint": row.fingerprint,
        "name": row.name,
        "permissions": [*sorted(one.value for one in row.permissions)],
        "active": row.active,
        "created": format_time(row.created_at),
        "removed": time_or_null(row.removed_at),
    }


def stored_envelope(row: ActionRow) -> Envelope:
    """The envelope of an action that was verified before it was stored."""
    return read_envelope(row.envelope, expected_type=envelopes.ACTION, max_bytes=STORED_ENVELOPE)


def action_document(row: ActionRow, needed: Sequence[JSON] = (), *, with_envelope: bool = False) -> dict[str, JSON]:
    """An action with its counts.

    Args:
        needed: what still falls short, while it is pending.
        with_envelope: whether the signed document comes along.
    """
    envelope = stored_envelope(row)
    document: dict[str, JSON] = {
        "id": row.id,
        "name": row.name,
        "target": row.target,
        "state": row.state.value,
        "reason": row.reason,
        "validfrom": format_time(row.valid_from),
        "expireafter": format_time(row.expire_after),
        "created": format_time(row.created_at),
        "creator": row.created_by,
        "signers": list(row.signers),
        "targeted": row.targeted,
        "counts": {state.value: count for state, count in row.counts.items()},
        "found": row.found,
        "partial": row.partial,
        "finished": time_or_null(row.finished_at),
        "cancelled": time_or_null(row.cancelled_at),
        "cancelledby": row.cancelled_by,
        "operations": _operations(envelope),
        "needed": list(needed),
    }
    if with_envelope:
        document["envelope"] = envelope.to_json()
    return document


def _operations(envelope: Envelope) -> JSON:
    """As they were signed; they have been checked before the action was stored."""
    try:
        payload = load(envelope.payload, subject="action", max_bytes=STORED_ENVELOPE)
    except InvalidDocument:
        return []
    return payload.get("operations", []) if isinstance(payload, dict) else []


def command_document(row: CommandRow) -> dict[str, JSON]:
    """One line of the books, with the answer."""
    return {
        "id": row.id,
        "action": row.action,
        "agent": row.agent,
        "agentname": row.agent_name,
        "state": row.state.value,
        "reason": row.reason,
        "found": row.found,
        "complete": row.complete,
        "results": None if row.results is None else list(row.results),
        "queued": format_time(row.queued_at),
        "sent": time_or_null(row.sent_at),
        "finished": time_or_null(row.finished_at),
    }


def command_line(row: CommandRow) -> bytes:
    """:func:`command_document` as JSON in one line; stored results go into it as they are."""
    document = command_document(row)
    if row.results_text is None:
        return dump(document)
    del document["results"]
    return b'%b,"results":%b}' % (dump(document)[:-1], row.results_text.encode("utf-8"))


def proof_document(row: CommandRow) -> JSON:
    """What the agent signed and the key it is pinned to (its id derives from it); null where nothing is kept."""
    if row.proof is None:
        return None
    return {
        "envelope": row.proof.envelope(row.agent).to_json(),
        "publickey": base64.b64encode(row.public_key).decode("ascii"),
    }


def agent_document(row: AgentRow) -> dict[str, JSON]:
    """An agent as the platform knows it."""
    return {
        "id": row.id,
        "name": row.shown_name,
        "calledname": row.name,
        "twosessions": time_or_null(row.two_sessions_at),
        "ledgerback": time_or_null(row.ledger_back_at),
        "state": row.state.value,
        "relay": row.relay,
        "version": row.version,
        "mode": row.mode,
        "pid": row.pid,
        "environment": dict(row.environment),
        "tags": dict(row.tags),
        "modules": list(row.modules),
        "failures": dict(row.failures),
        "statistics": dict(row.statistics),
        "persistent": dict(row.persistent),
        "spool": dict(row.spool),
        "started": time_or_null(row.started_at),
        "heartbeat": time_or_null(row.heartbeat_at),
        "clockahead": _clock_ahead(row),
        "enrolled": time_or_null(row.enrolled_at),
        "enrolledwith": row.enrolled_with,
        "retired": time_or_null(row.retired_at),
    }


def _clock_ahead(row: AgentRow) -> float | None:
    """Seconds by which the agent's clock was ahead when it last sent a heartbeat, which took a moment to come."""
    if row.heartbeat_at is None or row.heartbeat_sent_at is None:
        return None
    return round((row.heartbeat_sent_at - row.heartbeat_at).total_seconds(), 1)


def event_document(event: AgentEvent) -> dict[str, JSON]:
    """Something that happened to an agent."""
    return {"time": format_time(event.at), "event": event.kind, "detail": event.detail}


def page(items: Sequence[JSON], cursor: str) -> dict[str, JSON]:
    """One page of a list; the cursor is empty on the last one."""
    return {"items": list(items), "cursor": cursor}
