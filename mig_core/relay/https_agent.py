"""The agent's end of the ``https`` relay: one connection, one exchange a command, with mig-api.

An exchange (:mod:`mig_core.domain.exchanges`) hands in answers, heartbeats and acknowledgements, and is the next poll.
It waits at the server, between 25 and 50 seconds so that a fleet does not fall into step; only the first one after a
failure returns at once, to learn soon that all is well. What it carries is safe as soon as its answer's head is there.

One thread exchanges; any thread publishes. After messages came in, the next exchange waits a moment for what they bring
about. What comes later, while that exchange is at the server, another thread sends over a second connection, which is
closed soon (:mod:`.https_outbox`). Large messages go their own way, at their publisher's pace.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from mig_core.domain.document import dump, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.domain.exchanges import Request
from mig_core.domain.messages import Kind
from mig_core.errors import InvalidDocument, RelayDenied, RelayError, RelayRefused, RelayUnavailable, RelayUnwanted
from mig_core.network.backoff import Backoff
from mig_core.relay.base import TWO_SESSIONS, Delivery
from mig_core.relay.https_outbox import CARRIED_BYTES, Outbox, Patience
from mig_core.relay.https_transport import HttpsTransport
from mig_core.relay.https_uploads import SMALL_BYTES, MessageTooLarge, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.ids import AgentId
    from mig_core.relay.https_outbox import Parcel
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = (25.0, 50.0)
RETURN_SECONDS = 2.0
"""Over so many seconds a fleet comes back that lost mig-api at the same moment."""
MAX_MESSAGE_BYTES = MAX_ACTION_BYTES + (64 << 10)
"""Largest message accepted from the relay, as JSON."""
_SUPERSEDED = 409
_TRY_AGAIN = frozenset({408, 425, 429})
LOGIN_REFUSED = "the platform refuses the login"
_DENIED = frozenset({401, 403, 407})
_GONE = 410
_TOO_LARGE = 413
_NO_CONTENT = 204
_JSON = "application/json"
_OCTETS = "application/octet-stream"
_SPARE_SECONDS = 5.0
"""How long the second connection is kept after its last use."""
_SEND_SECONDS = 30.0
_CLOSE_PATIENCE = 0.9


class HttpsAgentRelay:
    """An :class:`~mig_core.relay.base.AgentRelay` at mig-api.

    Args:
        api: base URL, like ``https://mig.example.net``.
        agent_id: who we are.
        token: what the enrolment issued.
        tls: for ``https``; None: the system's certificate authorities.
        proxy: URL of an HTTP proxy; empty: what the environment says (``HTTPS_PROXY``, ``NO_PROXY``).
        prefetch: how many messages may wait unacknowledged here.
        session: names this process to the API; drawn at random when empty.

    Raises:
        ConfigurationError: a URL or a TLS file cannot be used.
    """

    def __init__(
        self,
        api: str,
        agent_id: AgentId,
        token: str,
        *,
        tls: TlsOptions | None = None,
        proxy: str = "",
        prefetch: int = 8,
        session: str = "",
        chance: Callable[[], float] = random.random,
        backoff: Callable[[], Backoff] = Backoff,
        comes_back: Callable[[], Backoff] = lambda: Backoff(spread=RETURN_SECONDS),
        patience: Patience | None = None,
    ) -> None:
        self._transport = HttpsTransport(api, f"{agent_id}:{token}", tls=tls, proxy=proxy)
        self._prefetch = prefetch
        self._session = session or f"{random.SystemRandom().getrandbits(128):032x}"
        self._chance = chance
        self._backoff = backoff
        self._return = comes_back
        self._handle: Callable[[Delivery], None] = lambda _delivery: None
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._connected = False
        self._uploads = Uploads()
        self._denied = False
        self._superseded = 0
        """Polls in a row that another process of this agent took over."""
        self._outbox = Outbox(prefetch, patience or Patience())

    def start(self, handle: Callable[[Delivery], None]) -> None:
        """Polls in the background and calls ``handle`` for each message."""
        self._handle = handle
        self._begin("relay-send", self._send_forever)
        self._begin("relay", self._poll_forever)

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        with self._starting:
            if self._closing.is_set() or any(thread.name == name for thread in self._threads):
                return
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def connected(self) -> bool:
        """Whether the last poll was answered."""
        return self._connected

    @property
    def trouble(self) -> str:
        """See the protocol. One poll that was taken over says nothing; a proxy may have sent it twice."""
        if self._denied:
            return LOGIN_REFUSED
        return TWO_SESSIONS if self._superseded > 1 else ""

    def publish(self, kind: Kind, body: bytes, *, timeout: float = 30.0) -> None:
        """Returns when the API has stored the message; tries again in the meantime.

        Raises:
            RelayUnavailable: not within ``timeout`` seconds (of a large message: no piece of it), or closed.
            RelayDenied: the login is refused. It may be accepted later: keep the message.
            RelayRefused: the message is refused.
            RelayUnwanted: nobody waits for it.
        """
        if len(body) <= SMALL_BYTES:
            try:
                if len(body) <= CARRIED_BYTES:
                    self._begin("relay-send", self._send_forever)
                    self._again_and_again(lambda left: self._outbox.hand_in(kind, body, left), timeout)
                else:
                    self._patiently("POST", f"messages/{kind}", body, timeout)
                return
            except RelayRefused as error:
                if kind is not Kind.RESULT or not self._uploads.may_be_smaller(error, len(body)):
                    raise
        if kind is not Kind.RESULT:
            raise RelayRefused(f"a {kind} of {len(body)} bytes is larger than {SMALL_BYTES} bytes")
        self._uploads.send(body, functools.partial(self._patiently, timeout=timeout))

    def _patiently(self, method: str, path: str, body: bytes, timeout: float, media: str = "") -> bytes:
        """An exchange that is tried again while the API is not there; raises as :meth:`publish`."""
        return self._again_and_again(
            lambda left: self._request(method, path, body=body, seconds=left, media=media), timeout
        )

    def _again_and_again(self, attempt: Callable[[float], T], timeout: float) -> T:
        deadline = time.monotonic() + timeout
        backoff = self._backoff()
        while True:
            if self._closing.is_set():
                raise RelayUnavailable("the relay is closed")
            try:
                return attempt(max(0.1, deadline - time.monotonic()))
            except RelayUnavailable:
                delay = backoff.next()
                if time.monotonic() + delay >= deadline:
                    raise
            self._closing.wait(delay)

    def close(self) -> None:
        """Ends the poll at once, sends the last acknowledgements and joins the threads."""
        with self._starting:
            self._closing.set()
        self._outbox.close()
        for name in ("relay-send", "relay"):
            # The last acknowledgements first: they may need the transport a moment longer. Then the poll is cut off.
            for thread in [one for one in self._threads if one.name == name]:
                thread.join(_CLOSE_PATIENCE)
            self._transport.close()
        self._transport.close()
        self._connected = False

    # -- the thread that polls

    def _poll_forever(self) -> None:
        backoff = self._return()
        while not self._closing.is_set():
            low, high = POLL_SECONDS
            wait = self._outbox.poll_seconds(low + (high - low) * self._chance()) if self._connected else 0.0
            parcel = self._outbox.for_poll(wait)
            if parcel is None:
                continue
            alone = not parcel.letters
            try:
                messages = self._exchange(parcel, 0.0 if parcel.hurried else wait)
            except (RelayError, InvalidDocument, ValueError) as error:  # ValueError: numbers that JSON cannot say
                self._denied = isinstance(error, RelayDenied)
                self._superseded += isinstance(error, _Superseded)
                if not alone and isinstance(error, RelayRefused):
                    continue  # one of the messages, perhaps: they are sent again one by one, by the other thread
                self._connected = False
                if not self._closing.is_set():
                    delay = backoff.next()
                    log.warning("no relay, next attempt in %.1f s: %s", delay, error)
                    self._closing.wait(delay)
                continue
            self._connected = not self._closing.is_set()
            self._superseded, self._denied = 0, False
            backoff.reset()
            for number, body in messages:
                self._hand_over(number, body)

    def _hand_over(self, number: int, body: bytes) -> None:
        if not self._outbox.hold(number):
            return  # its lease ended while it is being worked on: the answer will settle it
        try:
            self._handle(Delivery(body, functools.partial(self._outbox.acknowledge, number)))
        except Exception:
            log.exception("the handler of relay messages failed; the message comes again after a restart")

    # -- the thread that sends what the poll does not carry

    def _send_forever(self) -> None:
        used = False
        while True:
            parcel = self._outbox.to_send(_SPARE_SECONDS if used else None)
            if parcel is None and self._outbox.closed:
                return
            used = parcel is not None
            if parcel is None:
                self._transport.rest()
                continue
            last = self._closing.is_set()
            try:
                self._exchange(parcel, 0.0, _CLOSE_PATIENCE / 2 if last else _SEND_SECONDS)
            except (RelayError, InvalidDocument, ValueError) as error:
                # Whoever published the messages hears of it; nobody else would of the acknowledgements.
                log.debug("an exchange beside the poll failed: %s", error)
            if last:
                return

    def _exchange(self, parcel: Parcel, wait: float, seconds: float = 0.0) -> list[tuple[int, bytes]]:
        """One exchange; what it carried is settled, for better or worse, when this returns or raises."""
        messages = [(one.kind, one.body) for one in parcel.letters]
        request = Request(self._session, round(wait), parcel.room, parcel.acknowledged, messages)
        largest = parcel.room * MAX_MESSAGE_BYTES + 4096

        def head(status: int) -> None:
            if 200 <= status < 300:
                self._outbox.arrived(parcel)

        try:
            answer = self._request(
                "POST",
                "exchange",
                body=request.to_bytes(),
                seconds=seconds or wait + 15,
                largest=largest,
                media=_OCTETS,
                on_head=head,
            )
        except RelayError as error:
            self._outbox.failed(parcel, error)
            raise
        fields = members(load(answer, subject="relay", max_bytes=largest), subject="relay")
        received = []
        for one in fields.objects("messages", minimum=0, maximum=parcel.room):
            number = one.integer("id", minimum=0, maximum=(1 << 63) - 1)
            received.append((number, dump(one.mapping("body"))))
        if fields.has("problem"):
            problem = fields.object("problem")
            raise self._meaning(
                problem.integer("status", minimum=0, maximum=999), problem.text("detail", max_length=2000)
            )
        return received

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        seconds: float,
        largest: int = 64 << 10,
        media: str = "",
        on_head: Callable[[int], None] = lambda status: None,
    ) -> bytes:
        """One request under ``/api/v1/relay/``; anything but success is an error of the tree."""

        def head(status: int, kind: str) -> None:
            if 200 <= status < 300 and status != _NO_CONTENT and kind != _JSON:
                # Of a proxy that has a page for when mig-api is away, perhaps: nothing is safe.
                raise RelayUnavailable(f"{self._transport}: {status} with {kind or 'no type'!r:.60}, not from mig-api")
            on_head(status)

        status, answer = self._transport.exchange(
            method, f"/api/v1/relay/{path}", body=body, seconds=seconds, largest=largest, media=media, on_head=head
        )
        if 200 <= status < 300:
            return answer
        raise self._meaning(status, _title(answer))

    def _meaning(self, status: int, said: str) -> RelayError:
        problem = f"{self._transport}: {status} {said}".rstrip()
        if status == _SUPERSEDED:
            return _Superseded(problem, next_step="is its state directory in use on another machine?")
        if status >= 500 or status < 400 or status in _TRY_AGAIN:  # a redirection is somebody else's answer
            return RelayUnavailable(problem)
        if status in _DENIED:
            return RelayDenied(problem, next_step="is the agent approved?")
        if status == _GONE:
            return RelayUnwanted(problem)
        return MessageTooLarge(problem) if status == _TOO_LARGE else RelayRefused(problem)


class _Superseded(RelayUnavailable):
    """Another process of this agent receives its messages."""


def _title(answer: bytes) -> str:
    """What a problem document (RFC 9457) says in one line."""
    with contextlib.suppress(InvalidDocument):
        problem = load(answer, subject="problem", max_bytes=64 << 10)
        if isinstance(problem, dict):
            detail = problem.get("detail")
            return f"{problem.get('title', '')!s:.200}" + (f": {detail:.300}" if isinstance(detail, str) else "")
    return ""
