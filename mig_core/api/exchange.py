"""What a resource sees of HTTP: a route's declaration, the call that came in, and the reply that goes out.

Everything about a route is said once, in its :class:`Route`: who may call it, how large its body may be, and what the
OpenAPI document says. ``middleware`` has already checked all of it when a handler runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from mig_core.api.clients import bucket_of
from mig_core.api.connections import Who
from mig_core.domain.document import load, members
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from mig_core.domain.document import JSON, Members
    from mig_core.domain.ids import AgentId
    from mig_core.store.rows import Investigator, Permission

E = TypeVar("E", bound=StrEnum)

PREFIX = "/api/v1"
MAX_SMALL_BODY = 64 << 10
"""Bytes of a request that carries neither a signed document nor a key."""


class Access(StrEnum):
    """Who may call a route that needs no :class:`~mig_core.store.rows.Permission`."""

    ANYONE = "anyone"
    INVESTIGATOR = "investigator"
    """Any active investigator with a session."""
    AGENT = "agent"
    """An approved agent with its relay token."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter, for the OpenAPI document; handlers read and check it themselves."""

    name: str
    summary: str
    kind: str = "string"


@dataclass(frozen=True, slots=True)
class Route:
    """One declaration per route."""

    method: str
    path: str
    """Below :data:`PREFIX` (unless ``plain``); ``{name}`` for path parameters."""
    summary: str
    access: Access | Permission
    status: int = 200
    body: int = 0
    """Largest request body in bytes; 0: none is accepted."""
    body_seconds: float = 30.0
    """Longest time a request body may take to arrive."""
    request: str = ""
    """Name of the request's schema in :mod:`.schemas`."""
    response: str = ""
    """Name of the response's schema; empty: no body."""
    media: str = "application/json"
    """Media type of the response."""
    takes: str = "application/json"
    """Media type of the request."""
    query: tuple[Parameter, ...] = ()
    plain: bool = False
    """At the root instead of below :data:`PREFIX`."""

    @property
    def is_noted(self) -> bool:
        """Whether the platform log is to know who called and from where: of all that people change, and of logins."""
        return self.method != "GET" and self.access is not Access.AGENT and not self.path.startswith("/relay/")

    @property
    def full_path(self) -> str:
        """The path as clients see it."""
        return self.path if self.plain else PREFIX + self.path


CURSOR = Parameter("cursor", "where the last page ended; empty for the first page")
LIMIT = Parameter("limit", "most entries of this page", "integer")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; a comment line only when ``name`` is empty."""

    name: str = ""
    data: bytes = b""
    """One line of UTF-8."""
    id: str = ""

    def to_bytes(self) -> bytes:
        """The event as it travels (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        if not self.name:
            return b":\n\n"
        position = f"id: {self.id}\n" if self.id else ""
        return f"event: {self.name}\n{position}".encode() + b"data: " + self.data + b"\n\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a JSON document, other bytes, or a stream of events."""

    document: JSON = None
    data: bytes | None = None
    """Instead of ``document``, in the route's media type."""
    events: AsyncIterator[Sequence[Event]] | None = None
    status: int = 0
    """0: the route's own."""


@dataclass(slots=True)
class Call:
    """One request that ``middleware`` let through."""

    route: Route
    request_id: str
    address: str
    """The client's, as far as it can be trusted."""
    path: Mapping[str, str]
    query: Mapping[str, str]
    """The last value of each query parameter."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    disconnected: Callable[[], Awaitable[None]]
    """Returns when the client has gone."""
    investigator: Investigator | None = None
    session_digest: bytes = b""
    agent: AgentId | None = None

    @property
    def bucket(self) -> str:
        """What the client's failures are counted under."""
        return bucket_of(self.address)

    @property
    def party(self) -> str:
        """Whose budgets the body counts against."""
        if self.agent is not None:
            return self.agent
        return self.bucket if self.investigator is None else self.investigator.fingerprint

    @property
    def who(self) -> Who:
        """What is known of the caller."""
        if self.agent is not None:
            return Who.AGENT
        return Who.GUEST if self.investigator is None else Who.INVESTIGATOR

    @property
    def caller(self) -> Investigator:
        """Who calls; only on routes that need an investigator."""
        if self.investigator is None:
            raise ApiError(401, "log in first")
        return self.investigator

    @property
    def calling_agent(self) -> AgentId:
        """Which agent calls; only on routes for agents."""
        if self.agent is None:
            raise ApiError(401, "an agent's relay token is needed")
        return self.agent

    def document(self) -> Members:
        """The body as a JSON object.

        Raises:
            InvalidDocument: it is not one.
        """
        return members(load(self.body, subject="request", max_bytes=self.route.body), subject="request")

    def whole_number(self, name: str, *, default: int, minimum: int, maximum: int) -> int:
        """A query parameter that is a whole number; larger ones than ``maximum`` count as it.

        Raises:
            InvalidDocument: it is none, or smaller than ``minimum``.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < minimum:
            raise InvalidDocument("request", f"must be a whole number from {minimum}, got {text!r:.60}", path=name)
        return min(int(text), maximum)

    def truth(self, name: str) -> bool | None:
        """A query parameter that is ``true`` or ``false``, or None when it is not given.

        Raises:
            InvalidDocument: it is something else.
        """
        text = self.query.get(name, "")
        if text not in ("", "true", "false"):
            raise InvalidDocument("request", f"must be true or false, got {text!r:.60}", path=name)
        return None if not text else text == "true"

    def words(self, name: str, kind: type[E]) -> tuple[E, ...]:
        """A query parameter with members of an enumeration, separated by commas.

        Raises:
            InvalidDocument: one of them is not known.
        """
        known = {one.value: one for one in kind}
        wanted = tuple(word for word in self.query.get(name, "").split(",") if word)
        for word in wanted:
            if word not in known:
                raise InvalidDocument("request", f"must be of {', '.join(known)}, got {word!r:.60}", path=name)
        return tuple(dict.fromkeys(known[word] for word in wanted))


@dataclass(frozen=True, slots=True)
class Bound:
    """A route and what answers it."""

    route: Route
    handle: Callable[[Call], Awaitable[Reply]]
