"""RabbitMQ's questions about agents' logins (its plugin rabbitmq_auth_backend_http): ``allow`` or ``deny``.

An agent logs in with its id and relay token, and may do what :mod:`mig_core.relay.topology` lists. So no broker
administration password lives anywhere in MIG.

Anybody may ask, so no answer tells which agents there are: ``user`` wants the token, and the others follow from the
question alone. Whether the agent may be there at all was decided at its login; what a retired one says over a
connection that is still open counts nothing, and its queue is gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mig_core.api.exchange import Access, Bound, Call, Reply, Route
from mig_core.api.middleware import digest_of
from mig_core.domain.ids import check_agent_id
from mig_core.errors import InvalidDocument
from mig_core.relay.topology import may, may_enter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.api.middleware import AgentTokens
    from mig_core.domain.ids import AgentId

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 8 << 10
FORM = "application/x-www-form-urlencoded"


class RabbitmqResources:
    """One route for each question."""

    def __init__(self, tokens: AgentTokens) -> None:
        self._tokens = tokens

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        for question, summary, handle in (
            ("user", "May this agent log in?", self.user),
            ("vhost", "May it open this virtual host?", self.virtual_host),
            ("resource", "May it touch this queue or exchange?", self.resource),
            ("topic", "May it use a topic exchange? Never.", self.topic),
        ):
            yield Bound(
                Route(
                    "POST",
                    f"/relay/rabbitmq/{question}",
                    f"RabbitMQ asks: {summary}",
                    Access.ANYONE,
                    body=MAX_FORM_BYTES,
                    takes=FORM,
                    request="Form",
                    response="Text",
                    media="text/plain; charset=utf-8",
                ),
                handle,
            )

    async def user(self, call: Call) -> Reply:
        """POST /relay/rabbitmq/user"""
        form = _form(call)
        agent, password = _login(form), form.get("password", "")
        good = agent is not None and bool(password) and await self._tokens.match(agent, digest_of(password))
        if not good:
            log.warning("RabbitMQ login as %.80r refused", form.get("username", ""))
        return _answer(good)

    async def virtual_host(self, call: Call) -> Reply:
        """POST /relay/rabbitmq/vhost"""
        form = _form(call)
        return _answer(may_enter(form.get("username", ""), form.get("vhost", "")))

    async def resource(self, call: Call) -> Reply:
        """POST /relay/rabbitmq/resource"""
        form = _form(call)
        agent = form.get("username", "")
        asked = form.get("resource", ""), form.get("name", ""), form.get("permission", "")
        return _answer(may_enter(agent, form.get("vhost", "")) and may(agent, *asked))

    async def topic(self, call: Call) -> Reply:
        """POST /relay/rabbitmq/topic"""
        _form(call)
        return _answer(False)


def _form(call: Call) -> dict[str, str]:
    try:
        pairs = parse_qsl(call.body.decode("ascii"), keep_blank_values=True, max_num_fields=32)
    except ValueError as error:
        raise InvalidDocument("form", "is not url-encoded") from error
    if len(dict(pairs)) != len(pairs):
        raise InvalidDocument("form", "has a field twice")
    return dict(pairs)


def _login(form: dict[str, str]) -> AgentId | None:
    try:
        return check_agent_id(form.get("username", ""), subject="form", path="username")
    except InvalidDocument:
        return None


def _answer(good: bool) -> Reply:
    return Reply(data=b"allow" if good else b"deny")
