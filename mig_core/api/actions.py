"""Actions: create, list, show, sign, cancel. Signatures are checked here and again, for good, by every agent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.api.documents import action_document, page, stored_envelope
from mig_core.api.exchange import CURSOR, LIMIT, MAX_SMALL_BODY, Bound, Call, Parameter, Reply, Route
from mig_core.authorization import weights_needed
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import MAX_OPERATIONS, read_action, read_cancel
from mig_core.domain.command import ActionState
from mig_core.domain.envelope import MAX_ACTION_BYTES, envelope_from_json, read_envelope
from mig_core.domain.ids import ActionId, check_fingerprint, check_uuid
from mig_core.domain.times import format_time
from mig_core.errors import Conflict, InvalidDocument, Refused
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mig_core.api.keys import InvestigatorKeys
    from mig_core.authorization import ModuleWeight
    from mig_core.domain.acl import Acl
    from mig_core.domain.action import Action
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import Fingerprint
    from mig_core.store.base import Actions
    from mig_core.store.rows import ActionRow

log = logging.getLogger(__name__)


def action_id(call: Call) -> ActionId:
    """The action a path names."""
    return ActionId(check_uuid(call.path["action"], subject="request", path="action"))


class ActionResources:
    """Questions, from the moment they are signed.

    Args:
        acl: Gives the platform's copy of the agents' ACL; agents decide by their own. None: one signature is enough.
    """

    def __init__(
        self, actions: Actions, keys: InvestigatorKeys, acl: Callable[[], Acl | None], *, clock: Callable[[], datetime]
    ) -> None:
        self._actions = actions
        self._keys = keys
        self._acl = acl
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "POST",
                "/actions",
                "Creates an action from its signed envelope",
                Permission.ASK,
                201,
                body=MAX_ACTION_BYTES,
                request="Envelope",
                response="Action",
            ),
            self.create,
        )
        yield Bound(
            Route(
                "GET",
                "/actions",
                "Actions, latest first",
                Permission.READ,
                response="ActionList",
                query=(
                    Parameter("state", "states, separated by commas"),
                    Parameter("name", "a part of the name"),
                    Parameter("creator", "fingerprint of who created it"),
                    Parameter("id", "the beginning of the id"),
                    CURSOR,
                    LIMIT,
                ),
            ),
            self.list,
        )
        yield Bound(
            Route(
                "GET",
                "/actions/{action}",
                "One action, with its signed envelope",
                Permission.READ,
                response="ActionWithEnvelope",
            ),
            self.show,
        )
        yield Bound(
            Route(
                "POST",
                "/actions/{action}/signatures",
                "Adds a signature to a pending action",
                Permission.ASK,
                body=MAX_SMALL_BODY,
                request="Signature",
                response="Action",
            ),
            self.sign,
        )
        yield Bound(
            Route(
                "POST",
                "/actions/{action}/cancel",
                "Cancels an action by a signed cancel",
                Permission.ASK,
                body=MAX_SMALL_BODY,
                request="Envelope",
                response="Action",
            ),
            self.cancel,
        )

        yield Bound(
            Route(
                "POST",
                "/weights",
                "What the platform's copy of the ACL asks for modules, and how far signers would come",
                Permission.ASK,
                body=MAX_SMALL_BODY,
                request="WeightQuestion",
                response="Weights",
            ),
            self.weights,
        )

    async def create(self, call: Call) -> Reply:
        """POST /actions"""
        envelope = read_envelope(call.body, expected_type=envelopes.ACTION)
        signers = [one.fingerprint for one in await self._keys.signers(envelope, Permission.ASK)]
        creator = call.caller.fingerprint
        if creator not in signers:
            raise Refused("signers", f"the investigator who is logged in ({creator}) is not among the signers")
        signers.sort(key=lambda signer: signer != creator)
        action = read_action(envelope.payload)
        now = self._clock()
        if action.expire_after <= now:
            raise InvalidDocument("action", f"is over; here it is {format_time(now)}", path="expireafter")
        state = self._state(action, signers)
        row = await self._actions.create(action, envelope.to_bytes(), signers=signers, state=state, now=now)
        log.info("action %s created by %s: %s", row.id, call.caller.name, row.state)
        return Reply(self._document(row))

    async def list(self, call: Call) -> Reply:
        """GET /actions"""
        creator = call.query.get("creator", "")
        prefix = call.query.get("id", "").replace("-", "").lower()
        if len(prefix) > 32 or set(prefix) - set("0123456789abcdef"):
            raise InvalidDocument("request", "must be the beginning of an id", path="id")
        rows, cursor = await self._actions.list(
            states=call.words("state", ActionState),
            name=call.query.get("name", "")[:200].replace("\x00", ""),
            created_by=check_fingerprint(creator, subject="request", path="creator") if creator else None,
            prefix=prefix,
            cursor=call.query.get("cursor", ""),
            limit=call.whole_number("limit", default=50, minimum=1, maximum=200),
        )
        return Reply(page([self._document(row) for row in rows], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /actions/{action}"""
        row = await self._actions.get(action_id(call))
        return Reply(action_document(row, self._needed(row), with_envelope=True))

    async def sign(self, call: Call) -> Reply:
        """POST /actions/{action}/signatures"""
        row = await self._actions.get(action_id(call))
        stored = stored_envelope(row)
        fields = call.document()
        one: JSON = {"keyid": fields.take("keyid"), "sig": fields.take("sig")}
        fields.close()
        # Through the envelope's own reader, so that one signature is held to the same limits.
        carrier: JSON = {**stored.to_json(), "signatures": [one]}
        added = envelope_from_json(carrier, expected_type=envelopes.ACTION, max_bytes=2 * MAX_ACTION_BYTES).signatures[
            0
        ]
        signer = await self._keys.signer(stored, added, Permission.ASK)
        if signer.fingerprint in row.signers:
            raise Conflict(f"{signer.name} ({signer.fingerprint}) has signed action {row.id} already")
        if len(stored.signatures) >= envelopes.MAX_SIGNATURES:
            raise Conflict(f"action {row.id} has {envelopes.MAX_SIGNATURES} signatures, more are not possible")
        action = read_action(stored.payload)
        now = self._clock()
        if row.state is not ActionState.PENDING or action.expire_after <= now:
            state = "past its window" if row.state is ActionState.PENDING else row.state.value
            raise Conflict(f"action {row.id} is {state}; only pending ones take signatures")
        signers = [*row.signers, signer.fingerprint]
        envelope = stored.with_signature(added)
        if len(envelope.to_bytes()) > MAX_ACTION_BYTES:
            raise Conflict(f"action {row.id} would be larger than the {MAX_ACTION_BYTES} bytes that agents accept")
        row = await self._actions.sign(row.id, envelope.to_bytes(), signers=signers, state=self._state(action, signers))
        log.info("action %s signed by %s: %s", row.id, signer.name, row.state)
        return Reply(self._document(row))

    async def cancel(self, call: Call) -> Reply:
        """POST /actions/{action}/cancel"""
        identifier = action_id(call)
        envelope = read_envelope(call.body, expected_type=envelopes.CANCEL, max_bytes=MAX_SMALL_BODY)
        signers = await self._keys.signers(envelope, Permission.ASK)
        cancel = read_cancel(envelope.payload)
        if cancel.action != identifier:
            raise InvalidDocument("cancel", f"names another action than the path, {identifier}", path="action")
        row = await self._actions.cancel(identifier, envelope.to_bytes(), by=signers[0].fingerprint, now=self._clock())
        log.info("action %s cancelled by %s", row.id, signers[0].name)
        return Reply(self._document(row))

    async def weights(self, call: Call) -> Reply:
        """POST /weights"""
        fields = call.document()
        modules = fields.texts("modules", maximum=MAX_OPERATIONS, max_length=32)
        signers = {
            check_fingerprint(one, subject="request", path=f"signers[{index}]")
            for index, one in enumerate(fields.texts("signers", maximum=envelopes.MAX_SIGNATURES, max_length=60))
        }
        fields.close()
        acl = self._acl()
        weights: list[JSON] = []
        for module in dict.fromkeys(modules):
            entry = None if acl is None else acl.entry_for(module)
            if entry is not None:
                have = entry.weight_of(signers)
                weights.append({"module": module, "minimum": entry.minimum_weight, "have": have})
        return Reply({"weights": weights})

    def _state(self, action: Action, signers: Sequence[Fingerprint]) -> ActionState:
        return ActionState.PENDING if self._missing(action, signers) else ActionState.SCHEDULED

    def _missing(self, action: Action, signers: Sequence[Fingerprint]) -> Sequence[ModuleWeight]:
        acl = self._acl()
        return [] if acl is None else [one for one in weights_needed(action, acl, signers) if not one.suffices]

    def _needed(self, row: ActionRow) -> Sequence[JSON]:
        if row.state is not ActionState.PENDING:
            return []
        try:
            missing = self._missing(read_action(stored_envelope(row).payload), row.signers)
        except Refused:
            # The ACL lost an entry since; whoever signs next is told.
            return []
        return [{"module": one.module, "minimum": one.minimum, "have": one.have} for one in missing]

    def _document(self, row: ActionRow) -> JSON:
        return action_document(row, self._needed(row))
