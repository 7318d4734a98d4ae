"""Enrolment: how an agent becomes known, and how a known one gets a new relay token.

The request is signed with the very key it carries, and the agent's id derives from that key; so whoever asks proves to
be that agent. What decides about *admission* is the enrolment secret, or an investigator's approval.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.api.enrolment_secrets import is_secret
from mig_core.api.exchange import Access, Bound, Call, Reply, Route
from mig_core.api.middleware import digest_of
from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import MAX_HEARTBEAT_BYTES, AgentState, read_enrolment
from mig_core.domain.document import dump
from mig_core.domain.envelope import read_envelope
from mig_core.domain.times import format_time
from mig_core.errors import ApiError, Refused, SignatureInvalid
from mig_core.identity import verify_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.limiter import Limiter
    from mig_core.api.middleware import AgentTokens
    from mig_core.domain.agent import Enrolment
    from mig_core.domain.document import JSON
    from mig_core.store.base import Store

log = logging.getLogger(__name__)

MAX_AGE = timedelta(minutes=5)
"""How far an enrolment's ``sent`` may be from the server's time."""
MAX_STRANGERS_BYTES = 8 << 10
"""What is kept of the facts of an agent without the secret, about; its first heartbeat brings the rest."""
MAX_ENROLMENT_BYTES = 2 * MAX_HEARTBEAT_BYTES


class EnrolmentResources:
    """POST /enrol.

    Args:
        secret: Gives the settings' enrolment secret; empty: there is none. Others are in the store.
        failures: Limits wrong attempts by client.
        strangers: Limits enrolments without the secret by client.
    """

    def __init__(
        self,
        store: Store,
        tokens: AgentTokens,
        *,
        secret: Callable[[], str],
        failures: Limiter,
        strangers: Limiter,
        clock: Callable[[], datetime],
        new_token: Callable[[], str],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._secret = secret
        self._failures = failures
        self._strangers = strangers
        self._clock = clock
        self._new_token = new_token

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "POST",
                "/enrol",
                "An agent makes itself known; 202 while it waits for approval",
                Access.ANYONE,
                body=MAX_ENROLMENT_BYTES,
                request="Envelope",
                response="Enrolment",
            ),
            self.enrol,
        )

    async def enrol(self, call: Call) -> Reply:
        """POST /enrol"""
        self._failures.check(call.bucket)
        envelope = read_envelope(call.body, expected_type=envelopes.ENROL, max_bytes=MAX_ENROLMENT_BYTES)
        enrolment = read_enrolment(envelope.payload)
        agent = enrolment.facts.id
        try:
            verify_agent(envelope, enrolment.public_key)
        except SignatureInvalid:
            self._failures.spend(call.bucket)
            await self._store.numbers.count({"enrolment.forged": 1})
            raise
        now = self._clock()
        if abs(now - enrolment.sent) > MAX_AGE:
            raise ApiError(
                403,
                f"the enrolment was sent at {format_time(enrolment.sent)}, here it is {format_time(now)}",
                field="sent",
                next_step="set the endpoint's clock",
            )
        token = self._new_token()
        approved = is_secret(self._secret(), enrolment.secret)
        other = b"" if approved or not enrolment.secret else digest_of(enrolment.secret)
        if not approved and not other:
            self._strangers.check(call.bucket)
            self._strangers.spend(call.bucket)
            enrolment = _in_brief(enrolment)
        try:
            row = await self._store.agents.enrol(
                enrolment, approved=approved, token_digest=digest_of(token), now=now, secret_digest=other
            )
        except Refused as error:
            self._failures.spend(call.bucket)
            raise ApiError(403, error.problem, field="secret", next_step=error.next_step) from error
        self._tokens.forget(agent)
        log.info("agent %s (%s) enrolled from %s: %s", row.id, row.shown_name, call.address, row.state)
        if row.state is AgentState.PENDING:
            return Reply({"state": row.state.value}, status=202)
        answer: dict[str, JSON] = {"state": row.state.value, "token": token, "relay": row.relay}
        if row.given_tags:
            answer["tags"] = dict(row.given_tags)
        if row.given_relay:
            answer["relayurl"] = row.given_relay
        return Reply(answer)


def _in_brief(enrolment: Enrolment) -> Enrolment:
    """The enrolment; of one with many facts only those that say which machine this is."""
    facts = enrolment.facts
    if len(dump(facts.to_json())) <= MAX_STRANGERS_BYTES:
        return enrolment
    environment: dict[str, JSON] = {
        key: value[:200]
        for key in ("os", "ident", "arch", "kernel", "init")
        if isinstance(value := facts.environment.get(key), str)
    }
    return replace(enrolment, facts=replace(facts, environment=environment, tags={}, failures={}, modules=()))
