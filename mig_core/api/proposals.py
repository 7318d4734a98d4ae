"""Proposals: questions that wait for an investigator who signs them. Nothing here reaches an agent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.api.documents import page, stored_envelope, time_or_null
from mig_core.api.exchange import CURSOR, LIMIT, MAX_SMALL_BODY, Bound, Call, Parameter, Reply, Route
from mig_core.domain.action import read_action
from mig_core.domain.document import load
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.domain.ids import ActionId, check_uuid
from mig_core.domain.proposal import MAX_REASON, read_proposal
from mig_core.domain.times import format_time
from mig_core.errors import Conflict
from mig_core.store.rows import Permission, ProposalState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import Actions, Proposals
    from mig_core.store.rows import ProposalRow

log = logging.getLogger(__name__)


class ProposalResources:
    """Propose, list, show, and say what became of one.

    Args:
        new_id: makes a UUID.
    """

    def __init__(
        self, proposals: Proposals, actions: Actions, *, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._proposals = proposals
        self._actions = actions
        self._clock = clock
        self._new_id = new_id

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        one = "/proposals/{proposal}"
        yield Bound(
            Route(
                "POST",
                "/proposals",
                "Proposes a question, for somebody else to sign",
                Permission.PROPOSE,
                201,
                body=MAX_ACTION_BYTES,
                request="NewProposal",
                response="Proposal",
            ),
            self.propose,
        )
        yield Bound(
            Route(
                "GET",
                "/proposals",
                "Proposals, latest first",
                Permission.READ,
                response="ProposalList",
                query=(Parameter("state", "states, separated by commas"), CURSOR, LIMIT),
            ),
            self.list,
        )
        yield Bound(Route("GET", one, "One proposal", Permission.READ, response="Proposal"), self.show)
        yield Bound(
            Route(
                "POST",
                f"{one}/signed",
                "Says which action a proposal became",
                Permission.ASK,
                body=MAX_SMALL_BODY,
                request="ProposalSigned",
                response="Proposal",
            ),
            self.signed,
        )
        yield Bound(
            Route(
                "POST",
                f"{one}/reject",
                "Rejects a proposal",
                Permission.ASK,
                body=MAX_SMALL_BODY,
                request="ProposalRejected",
                response="Proposal",
            ),
            self.reject,
        )

    async def propose(self, call: Call) -> Reply:
        """POST /proposals"""
        payload = read_proposal(call.body).to_payload()
        row = await self._proposals.add(self._new_id(), call.caller.fingerprint, payload, self._clock())
        log.info("proposal %s by %s", row.id, call.caller.name)
        return Reply(proposal_document(row))

    async def list(self, call: Call) -> Reply:
        """GET /proposals"""
        rows, cursor = await self._proposals.list(
            states=call.words("state", ProposalState),
            cursor=call.query.get("cursor", ""),
            limit=call.whole_number("limit", default=50, minimum=1, maximum=200),
        )
        return Reply(page([proposal_document(row) for row in rows], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /proposals/{proposal}"""
        return Reply(proposal_document(await self._proposals.get(_proposal(call))))

    async def signed(self, call: Call) -> Reply:
        """POST /proposals/{proposal}/signed"""
        fields = call.document()
        identifier = ActionId(check_uuid(fields.take("action"), subject="request", path="action"))
        fields.close()
        row = await self._proposals.get(_proposal(call))
        action = read_action(stored_envelope(await self._actions.get(identifier)).payload)
        if not read_proposal(row.payload).is_asked_by(action):
            raise Conflict(f"action {identifier} asks something else than proposal {row.id}")
        after = await self._proposals.decide(
            row.id, ProposalState.SIGNED, call.caller.fingerprint, self._clock(), action=identifier
        )
        log.info("proposal %s signed by %s: action %s", after.id, call.caller.name, identifier)
        return Reply(proposal_document(after))

    async def reject(self, call: Call) -> Reply:
        """POST /proposals/{proposal}/reject"""
        fields = call.document()
        reason = fields.text("reason", max_length=MAX_REASON, default="")
        fields.close()
        after = await self._proposals.decide(
            _proposal(call), ProposalState.REJECTED, call.caller.fingerprint, self._clock(), answer=reason
        )
        log.info("proposal %s rejected by %s", after.id, call.caller.name)
        return Reply(proposal_document(after))


def proposal_document(row: ProposalRow) -> dict[str, JSON]:
    """One proposal: what is asked and why, who says so, and what became of it."""
    return {
        "id": row.id,
        "state": row.state.value,
        "proposer": row.proposer,
        "proposername": row.proposer_name,
        "created": format_time(row.created_at),
        "decided": time_or_null(row.decided_at),
        "decidedby": row.decided_by_name,
        "answer": row.answer,
        "action": row.action,
        "proposal": load(row.payload, subject="proposal", max_bytes=2 * MAX_ACTION_BYTES),
    }


def _proposal(call: Call) -> str:
    return check_uuid(call.path["proposal"], subject="request", path="proposal")
