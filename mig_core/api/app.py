"""HTTP, by falcon: the only file that imports it. Turns requests into calls, and replies and errors into responses.

``create_app`` wires the resources to their collaborators; which resources there are stands there and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import falcon
import falcon.asgi

from mig_core.api.actions import ActionResources
from mig_core.api.agents import AgentResources
from mig_core.api.answer_rows import AnswerRowResources
from mig_core.api.clients import TrustedProxies
from mig_core.api.commands import CommandResources
from mig_core.api.connections import SCOPE_KEY, Who
from mig_core.api.dashboard import DashboardResources
from mig_core.api.enrolment import EnrolmentResources
from mig_core.api.enrolment_secrets import EnrolmentSecretResources
from mig_core.api.events import EventResources
from mig_core.api.exchange import Call
from mig_core.api.health import HealthResources
from mig_core.api.intake import Intake, IntakeLimits
from mig_core.api.investigators import InvestigatorResources
from mig_core.api.limiter import Limiter, LoginFailures
from mig_core.api.login import LoginResources
from mig_core.api.metrics import Metrics
from mig_core.api.middleware import SECURITY_HEADERS, Admission, AgentTokens, check_media_type, declared_size, read_body
from mig_core.api.openapi import openapi_document
from mig_core.api.platform_log import FailureNotes, PlatformLogResources
from mig_core.api.plugins import PluginResources
from mig_core.api.problems import MEDIA_TYPE, is_expected, problem_of
from mig_core.api.proposals import ProposalResources
from mig_core.api.rabbitmq_auth import RabbitmqResources
from mig_core.api.relay import RelayResources
from mig_core.api.relay_hub import RelayHub
from mig_core.api.targets import TargetResources
from mig_core.api.uploads import UploadResources
from mig_core.domain.document import dump
from mig_core.domain.ids import AgentId, uuid7
from mig_core.errors import ApiError
from mig_core.store.acting import Acting, acting_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from falcon.asgi import Request, Response

    from mig_core.api.bootstrap import BootstrapSecret
    from mig_core.api.connections import Connections
    from mig_core.api.exchange import Bound, Event, Reply, Route
    from mig_core.api.files import PlatformFiles
    from mig_core.api.keys import InvestigatorKeys
    from mig_core.api.polls import Waiters
    from mig_core.api.workers import Place
    from mig_core.config.server import ApiSettings
    from mig_core.domain.document import JSON
    from mig_core.plugin.hooks import Answer
    from mig_core.store.base import Store

log = logging.getLogger(__name__)

FIRST_BYTES = 30.0
"""Seconds until the first piece of a declared body must be there; falcon waits for it before anything else."""
STREAM_BYTES = 64 << 10
"""Events that come together are sent together up to this size."""
TOKENS_BELIEVED = timedelta(seconds=30)
"""How long an agent's token is not looked up again; one that is worth nothing any more is heard of at once."""


def create_app(
    store: Store,
    keys: InvestigatorKeys,
    settings: ApiSettings,
    *,
    files: PlatformFiles,
    bootstrap: BootstrapSecret,
    waiters: Waiters,
    clock: Callable[[], datetime],
    new_token: Callable[[], str],
    connections: Connections | None = None,
    intake_limits: IntakeLimits | None = None,
    place: Place | None = None,
    version: str = "",
    plugins: Sequence[Mapping[str, Answer] | None] = (),
    module_schemas: Callable[[], Mapping[str, JSON]] = dict,
    monotonic: Callable[[], float] = time.monotonic,
) -> MigApp:
    """The ASGI application. Store and keys are opened and closed by the caller.

    Args:
        files: The platform's copies of ACL and keys, and the enrolment secret of the settings.
        waiters: ``waiters.stop()`` answers everybody who waits, so that the server can stop.
        clock: Aware times.
        new_token: Unguessable texts, for nonces and tokens.
        connections: What the server counts of its connections.
        intake_limits: How much may be on its way in; none: what suits most platforms.
        place: Which of several workers this is; none: it is alone.
        version: What the OpenAPI document calls this program's version.
        plugins: What plugins' ``mig_api_routes`` returned.
        monotonic: Seconds by which the buckets of failures refill.
        module_schemas: Gives what installed modules add to the OpenAPI document, when it is asked for.
    """
    metrics = Metrics(connections, settings.state, place)
    parts = 1 if place is None else place.workers
    limits = (intake_limits or IntakeLimits()).share_of(parts)
    intake = Intake(lambda: store.relay_queue.backlog(), limits)  # the store may not be open yet
    tokens = AgentTokens(store.agents, clock=clock, lifetime=TOKENS_BELIEVED)

    def end_logins(agents: Sequence[str]) -> None:
        """See :attr:`MigApp.end_logins`."""
        if not agents:
            tokens.forget_all()
        for agent in map(AgentId, agents):
            tokens.forget(agent)
            waiters.drop(agent)

    hub = RelayHub(store.relay_queue, lambda: store.wakeups, tokens, waiters, metrics, intake, clock=clock)
    bound: list[Bound] = [
        *LoginResources(
            store.investigators,
            keys,
            bootstrap,
            session_lifetime=settings.session_lifetime,
            public_url=settings.public_url,
            failures=LoginFailures(shared_by=parts, monotonic=monotonic),
            bootstraps=Limiter(burst=20, per_second=0.5, shared_by=parts, monotonic=monotonic),
            nonces=Limiter(burst=100, per_second=10, shared_by=parts, monotonic=monotonic),
            notes=FailureNotes(store.platform_log, shared_by=parts, monotonic=monotonic),
            clock=clock,
            new_token=new_token,
        ).routes(),
        *PlatformLogResources(store.platform_log).routes(),
        *InvestigatorResources(store.investigators, keys, clock=clock).routes(),
        *ActionResources(store.actions, keys, files.acl, clock=clock).routes(),
        *CommandResources(store, clock=clock).routes(),
        *ProposalResources(
            store.proposals, store.actions, clock=clock, new_id=lambda: uuid7(clock(), secrets.token_bytes(10))
        ).routes(),
        *AnswerRowResources(store.answer_rows, clock=clock).routes(),
        *EventResources(store, waiters, metrics, clock=clock).routes(),
        *TargetResources(store.agents, clock=clock).routes(),
        *AgentResources(
            store.agents,
            tokens,
            waiters,
            keep_retired=settings.keep_retired,
            digests=files.digests,
            clock=clock,
        ).routes(),
        *EnrolmentSecretResources(
            store.enrolment_secrets, of_settings=files.enrolment_secret_state, clock=clock, new_token=new_token
        ).routes(),
        *DashboardResources(store.numbers, files.unusable, clock=clock).routes(),
        *EnrolmentResources(
            store,
            tokens,
            secret=files.enrolment_secret,
            failures=Limiter(burst=100, per_second=2, shared_by=parts, monotonic=monotonic),
            strangers=Limiter(
                burst=500,
                per_second=20,
                what="enrolments without the secret from this address",
                shared_by=parts,
                monotonic=monotonic,
            ),
            clock=clock,
            new_token=new_token,
        ).routes(),
        *RelayResources(store.relay_queue, store.wakeups, waiters, metrics, intake, hub, clock=clock).routes(),
        *UploadResources(store.relay_queue, store.commands, intake, clock=clock).routes(),
        *RabbitmqResources(tokens).routes(),
        *PluginResources(plugins).routes(),
    ]
    health = HealthResources(
        store,
        metrics,
        lambda: openapi_document([one.route for one in bound], version, modules=module_schemas()),
        files.unusable,
        clock=clock,
    )
    bound += health.routes()
    proxies = TrustedProxies(settings.trusted_proxies)
    return MigApp(bound, Admission(store.investigators, tokens, clock), metrics, proxies, intake, hub, end_logins)


class MigApp(falcon.asgi.App):  # type: ignore[type-arg]  # falcon's own request and response types
    """The application; ``routes`` is what it declares. The other parts serve what does not pass through it too."""

    def __init__(
        self,
        bound: Sequence[Bound],
        admission: Admission,
        metrics: Metrics,
        proxies: TrustedProxies,
        intake: Intake,
        hub: RelayHub,
        end_logins: Callable[[Sequence[str]], None],
    ) -> None:
        self.end_logins = end_logins
        """To be called with the agents whose logins this process, or another, has ended: their polls end at once."""
        super().__init__(middleware=[_Accounting(metrics)])
        self.hub, self.metrics, self.intake = hub, metrics, intake
        self.routes: tuple[Route, ...] = tuple(one.route for one in bound)
        self.req_options.auto_parse_form_urlencoded = False
        self.req_options.keep_blank_qs_values = False
        self.req_options.auto_parse_qs_csv = False
        self.add_error_handler(Exception, _answer_error)
        self.add_error_handler(falcon.HTTPError, _answer_http_error)
        paths: dict[str, list[Bound]] = {}
        for one in bound:
            paths.setdefault(one.route.full_path, []).append(one)
        for path, methods in paths.items():
            self.add_route(path, _Resource(methods, admission, proxies, intake))

    async def __call__(  # type: ignore[override]  # falcon.asgi overrides its WSGI parent in the same way
        self, scope: Any, receive: Any, send: Any
    ) -> None:
        """ASGI's entry. Keeps ``receive``, which tells when a client hangs up; falcon does not hand it on."""
        if scope["type"] == "http":
            try:
                async with asyncio.timeout(FIRST_BYTES):
                    first = await receive()
            except TimeoutError:
                await send({"type": "http.response.start", "status": 408, "headers": [(b"connection", b"close")]})
                await send({"type": "http.response.body"})
                return
            scope["mig.receive"] = receive
            await super().__call__(scope, _after(first, receive, scope), send)
            return
        await super().__call__(scope, receive, send)


def _after(first: Any, receive: Callable[[], Awaitable[Any]], scope: Any) -> Callable[[], Awaitable[Any]]:
    """``receive`` with an event put back in front; notes in the scope that the client went away."""
    waiting = [first]

    async def again() -> Any:
        event = waiting.pop() if waiting else await receive()
        if event["type"] == "http.disconnect":
            scope["mig.torn"] = True
        return event

    return again


class _Resource:
    """What falcon calls for one path: an ``on_METHOD`` for each declared route."""

    def __init__(self, bound: Sequence[Bound], admission: Admission, proxies: TrustedProxies, intake: Intake) -> None:
        self._admission = admission
        self._proxies = proxies
        self._intake = intake
        for one in bound:
            setattr(self, f"on_{one.route.method.lower()}", self._responder(one))

    def _responder(self, bound: Bound) -> Callable[..., Awaitable[None]]:
        async def respond(req: Request, resp: Response, **path: str) -> None:
            call = _call(bound.route, req, path, self._proxies)
            # Who it is comes before what it says: strangers' bodies are not even read.
            await self._admission.admit(call)
            if call.who is not Who.GUEST and (connection := req.scope.get(SCOPE_KEY)) is not None:
                connection.admit(call.who)
            check_media_type(bound.route, req.content_type or "")
            if not bound.route.body:
                _send(resp, bound.route, await _handled(bound, call))
                return
            size = declared_size(bound.route, req.content_length)
            async with self._intake.share(call.party, size, known=call.who is not Who.GUEST):
                call.body = await read_body(bound.route, req.stream, lambda: "mig.torn" in req.scope)
                _send(resp, bound.route, await _handled(bound, call))

        return respond


async def _handled(bound: Bound, call: Call) -> Reply:
    """The answer; what is changed meanwhile stands in the platform log under the caller."""
    if not bound.route.is_noted:
        return await bound.handle(call)
    who = "" if call.investigator is None else call.investigator.fingerprint
    with acting_for(Acting(call.address or "unix", who)):
        return await bound.handle(call)


class _Accounting:
    """Request ids, security headers, counters. Falcon's middleware interface."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def process_request(self, req: Request, resp: Response) -> None:
        """Before routing."""
        req.context.request_id = secrets.token_hex(8)

    async def process_response(self, req: Request, resp: Response, resource: object, succeeded: bool) -> None:
        """After everything, also after errors."""
        resp.set_headers(SECURITY_HEADERS)
        resp.set_header("X-Request-Id", req.context.request_id)
        self._metrics.requests[req.method, req.uri_template or "other", resp.status_code] += 1
        log.debug("%s %s: %s (request %s)", req.method, req.path, resp.status_code, req.context.request_id)


def _call(route: Route, req: Request, path: dict[str, str], proxies: TrustedProxies) -> Call:
    query = {name: value[-1] if isinstance(value, list) else value for name, value in req.params.items()}
    receive = req.scope["mig.receive"]

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    return Call(
        route=route,
        request_id=req.context.request_id,
        address=proxies.client((req.scope.get("client") or ("",))[0], req.scope["headers"]),
        path=path,
        query=query,
        headers={name.lower(): value for name, value in req.headers.items()},
        body=b"",
        disconnected=disconnected,
    )


def _send(resp: Response, route: Route, reply: Reply) -> None:
    resp.status = reply.status or route.status
    if reply.events is not None:
        resp.content_type = route.media
        resp.set_header("X-Accel-Buffering", "no")
        resp.stream = _stream(reply.events)
    elif reply.data is not None:
        resp.content_type = route.media
        resp.data = reply.data
    elif route.response:
        resp.content_type = route.media
        resp.data = dump(reply.document)


async def _stream(events: AsyncIterator[Sequence[Event]]) -> AsyncIterator[bytes]:
    async for some in events:
        pieces: list[bytes] = []
        size = 0
        for event in some:
            pieces.append(event.to_bytes())
            size += len(pieces[-1])
            if size > STREAM_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join(pieces)


async def _answer_error(req: Request, resp: Response, error: Exception, params: dict[str, object]) -> None:
    request_id = req.context.request_id
    problem = problem_of(error, request_id)
    if not is_expected(error):
        log.error("%s %s failed (request %s)", req.method, req.path, request_id, exc_info=error)
    elif problem.status >= 500:
        log.error("%s %s: %s (request %s)", req.method, req.path, error, request_id)
    resp.status = problem.status
    resp.content_type = MEDIA_TYPE
    resp.data = dump(problem.to_json(request_id))
    resp.stream = None
    if problem.status == 401:
        resp.set_header("WWW-Authenticate", "Bearer")
    if problem.status in (429, 503):
        resp.set_header("Retry-After", "5")


async def _answer_http_error(req: Request, resp: Response, error: falcon.HTTPError, params: dict[str, object]) -> None:
    """Falcon's own: no such path, no such method, a header that cannot be read."""
    status = error.status_code
    detail = {404: f"there is nothing at {req.path[:200]}", 405: f"{req.method} is not possible here"}.get(
        status, error.title or "the request cannot be read"
    )
    await _answer_error(req, resp, ApiError(status, detail, next_step="see /api/v1/openapi.json"), params)
    if error.headers:
        resp.set_headers(error.headers)
