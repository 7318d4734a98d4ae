"""What every request passes before a resource sees it: login, permission, body limit. And what it leaves: a count.

Everything follows the route's own declaration; a route cannot forget to check. Nothing here is falcon's.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

from mig_core.api.exchange import Access
from mig_core.domain.ids import check_agent_id
from mig_core.errors import ApiError, InvalidDocument
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from mig_core.api.exchange import Call, Route
    from mig_core.domain.ids import AgentId
    from mig_core.store.base import Agents, Investigators

log = logging.getLogger(__name__)

MAX_TOKENS_REMEMBERED = 50_000

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def digest_of(secret: str) -> bytes:
    """How tokens and nonces are stored: SHA-256. They have 256 random bits, so no slower hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class AgentTokens:
    """Relay tokens that were right a short while ago, so that not every poll costs a look into the table.

    Args:
        agents: the store's.
        lifetime: How long an answer is believed, where nothing else is heard.
    """

    def __init__(self, agents: Agents, *, clock: Callable[[], datetime], lifetime: timedelta) -> None:
        self._agents = agents
        self._clock = clock
        self._lifetime = lifetime
        self._good: dict[AgentId, tuple[bytes, datetime]] = {}
        self._forgotten = 0
        """How often something had to be forgotten: what the store said before that is not remembered after it."""

    async def match(self, agent: AgentId, digest: bytes) -> bool:
        """Whether this is the token of an approved agent that is not retired. Wrong ones are never remembered."""
        now = self._clock()
        known = self._good.get(agent)
        if known is not None and known[0] == digest and now < known[1]:
            return True
        forgotten = self._forgotten
        if not await self._agents.token_matches(agent, digest):
            return False
        if forgotten != self._forgotten:
            return True
        if len(self._good) >= MAX_TOKENS_REMEMBERED:
            self._good.clear()
        self._good[agent] = (digest, now + self._lifetime)
        return True

    async def match_all(self, given: Sequence[tuple[AgentId, bytes]]) -> Sequence[bool]:
        """:meth:`match` for many at once."""
        now = self._clock()
        good = self._good
        answers = []
        for agent, digest in given:
            known = good.get(agent)
            answers.append(known is not None and known[0] == digest and now < known[1])
        asked = [place for place, answer in enumerate(answers) if not answer]
        if asked:
            forgotten = self._forgotten
            matches = await self._agents.tokens_match([given[place] for place in asked])
            if len(good) + len(asked) > MAX_TOKENS_REMEMBERED:
                good.clear()
            for place, answer in zip(asked, matches, strict=True):
                answers[place] = answer
                if answer and forgotten == self._forgotten:
                    good[given[place][0]] = (given[place][1], now + self._lifetime)
        return answers

    def forget(self, agent: AgentId) -> None:
        """Ask the store next time: the agent was retired, or has a new token."""
        self._forgotten += 1
        self._good.pop(agent, None)

    def forget_all(self) -> None:
        """Ask the store about everybody: that some were retired may have been missed."""
        self._forgotten += 1
        self._good.clear()


class Admission:
    """Lets a call through, or says why not.

    Wrong tokens are not counted against their address: they have 256 random bits, and a fleet behind one address must
    be able to enrol anew.
    """

    def __init__(self, investigators: Investigators, tokens: AgentTokens, clock: Callable[[], datetime]) -> None:
        self._investigators = investigators
        self._tokens = tokens
        self._clock = clock

    async def admit(self, call: Call) -> None:
        """Finds out who calls, and returns when that is enough for the route.

        Raises:
            ApiError: 401 without a usable login, 403 without the permission.
        """
        access = call.route.access
        if access is Access.ANYONE:
            return
        credential = _bearer(call.headers)
        if access is Access.AGENT:
            await self._admit_agent(call, credential)
            return
        call.session_digest = digest_of(credential)
        call.investigator = await self._investigators.session(call.session_digest, self._clock())
        if call.investigator is None:
            raise ApiError(401, "the session has ended or is not known", next_step="log in again")
        if isinstance(access, Permission) and access not in call.investigator.permissions:
            raise ApiError(
                403,
                f"{call.investigator.name} lacks the permission {access.value}",
                next_step="ask an investigator with the permission investigators for it",
            )

    async def _admit_agent(self, call: Call, credential: str) -> None:
        agent, digest = agent_login(credential)
        if not await self._tokens.match(agent, digest):
            raise ApiError(401, f"the relay token of agent {agent} is not valid", next_step="enrol again")
        call.agent = agent


def agent_login(credential: str) -> tuple[AgentId, bytes]:
    """Who an agent says it is, and the digest of its token.

    Raises:
        ApiError: 401, it says nothing of the kind.
    """
    name, _, token = credential.partition(":")
    try:
        return check_agent_id(name, subject="authorization", path=""), digest_of(token)
    except InvalidDocument as error:
        raise ApiError(401, "must be `Bearer AGENT_ID:RELAY_TOKEN`", field="Authorization") from error


def declared_size(route: Route, content_length: int | None) -> int:
    """Bytes that a body may have: what it declares, or what the route takes.

    Raises:
        ApiError: 413, it declares more than that.
    """
    if content_length is None:
        return route.body
    if content_length > route.body:
        raise _too_large(route)
    return content_length


async def read_body(route: Route, chunks: AsyncIterable[bytes], torn: Callable[[], bool]) -> bytes:
    """The request's body, never more than the route takes.

    Args:
        torn: whether the client went away before the end.

    Raises:
        ApiError: 413 when it is larger, 408 when it takes too long, 400 when it is torn.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(route.body_seconds):
            async for chunk in chunks:
                if len(body) + len(chunk) > route.body:
                    raise _too_large(route)
                body += chunk
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {route.body_seconds:.0f} s") from None
    if torn():
        # Nobody hears this; but half a message must not be taken for one.
        raise ApiError(400, "the client went away in the middle of the body")
    return bytes(body)


def _too_large(route: Route) -> ApiError:
    return ApiError(413, f"the body may be at most {route.body} bytes", next_step="send less")


def check_media_type(route: Route, given: str) -> None:
    """Returns when the body's media type is the route's. A missing one is accepted.

    Raises:
        ApiError: 415
    """
    media = given.partition(";")[0].strip().lower()
    if route.body and media and media != route.takes:
        raise ApiError(415, f"must be {route.takes}, got {media[:100]!r}", field="Content-Type")


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential or len(credential) > 1000:
        raise ApiError(401, "a login is needed", field="Authorization", next_step="log in: POST /api/v1/login/nonce")
    return credential.strip()
