"""The agent's end of the ``https`` relay: long polling at mig-api.

One thread polls; any thread publishes; a third sends acknowledgements, so that they never wait for the end of a poll
(an unacknowledged message is given out again when its lease ends). The poll waits at the server, between 25 and 50
seconds so that a fleet does not fall into step; only the first one after a failure returns at once, to learn soon that
all is well.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import random
import threading
import time
from typing import TYPE_CHECKING

from mig_core.domain.document import dump, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.domain.messages import Kind
from mig_core.errors import InvalidDocument, RelayDenied, RelayError, RelayRefused, RelayUnavailable, RelayUnwanted
from mig_core.network.backoff import Backoff
from mig_core.relay.base import TWO_SESSIONS, Delivery
from mig_core.relay.https_transport import HttpsTransport
from mig_core.relay.https_uploads import SMALL_BYTES, MessageTooLarge, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.ids import AgentId
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

POLL_SECONDS = (25.0, 50.0)
MAX_MESSAGE_BYTES = MAX_ACTION_BYTES + (64 << 10)
"""Largest message accepted from the relay, as JSON."""
_SUPERSEDED = 409
_TRY_AGAIN = frozenset({408, 425, 429})
_DENIED = frozenset({401, 403, 407})
_GONE = 410
_TOO_LARGE = 413
_GATHER = 0.005
"""Seconds in which acknowledgements are gathered before they are sent."""
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
    ) -> None:
        self._transport = HttpsTransport(api, f"{agent_id}:{token}", tls=tls, proxy=proxy)
        self._prefetch = prefetch
        self._session = session or f"{random.SystemRandom().getrandbits(128):032x}"
        self._chance = chance
        self._backoff = backoff
        self._handle: Callable[[Delivery], None] = lambda _delivery: None
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._connected = False
        self._uploads = Uploads()
        self._superseded = 0
        """Polls in a row that another process of this agent took over."""
        self._lock = threading.Condition()
        # Under the lock: what was handed over and not acknowledged, and what is to be acknowledged at the API.
        self._held: set[int] = set()
        self._acknowledged: list[int] = []

    def start(self, handle: Callable[[Delivery], None]) -> None:
        """Polls in the background and calls ``handle`` for each message."""
        self._handle = handle
        for name, work in (("relay", self._poll_forever), ("relay-acknowledge", self._acknowledge_forever)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def connected(self) -> bool:
        """Whether the last poll was answered."""
        return self._connected

    @property
    def trouble(self) -> str:
        """See the protocol. One poll that was taken over says nothing; a proxy may have sent it twice."""
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
        deadline = time.monotonic() + timeout
        backoff = self._backoff()
        while True:
            if self._closing.is_set():
                raise RelayUnavailable("the relay is closed")
            try:
                left = max(0.1, deadline - time.monotonic())
                return self._request(method, path, body=body, seconds=left, media=media)
            except RelayUnavailable:
                delay = backoff.next()
                if time.monotonic() + delay >= deadline:
                    raise
            self._closing.wait(delay)

    def close(self) -> None:
        """Ends the poll at once, sends the last acknowledgements and joins the threads."""
        with self._lock:
            self._closing.set()
            self._lock.notify_all()
        for thread in reversed(self._threads):
            # The acknowledgements first: they may need the transport a moment longer. Then the poll is cut off.
            thread.join(_CLOSE_PATIENCE)
            self._transport.close()
        self._transport.close()
        self._connected = False

    def _poll_forever(self) -> None:
        backoff = self._backoff()
        while not self._closing.is_set():
            room = self._wait_for_room()
            if not room:
                continue
            low, high = POLL_SECONDS
            wait = low + (high - low) * self._chance() if self._connected else 0.0
            try:
                messages = self._poll(wait, room)
            except (RelayError, InvalidDocument, ValueError) as error:  # ValueError: numbers that JSON cannot say
                self._connected = False
                self._superseded += isinstance(error, _Superseded)
                if not self._closing.is_set():
                    delay = backoff.next()
                    log.warning("no relay, next attempt in %.1f s: %s", delay, error)
                    self._closing.wait(delay)
                continue
            self._connected = not self._closing.is_set()
            self._superseded = 0
            backoff.reset()
            for number, body in messages:
                self._hand_over(number, body)

    def _wait_for_room(self) -> int:
        with self._lock:
            self._lock.wait_for(lambda: len(self._held) < self._prefetch or self._closing.is_set())
            return 0 if self._closing.is_set() else self._prefetch - len(self._held)

    def _poll(self, wait: float, room: int) -> list[tuple[int, bytes]]:
        path = f"commands?session={self._session}&wait={wait:.0f}&max={room}"
        largest = room * MAX_MESSAGE_BYTES + 4096
        answer = self._request("GET", path, seconds=wait + 15, largest=largest)
        fields = members(load(answer, subject="relay", max_bytes=largest), subject="relay")
        messages = []
        for one in fields.objects("messages", minimum=0, maximum=room):
            number = one.integer("id", minimum=0, maximum=(1 << 63) - 1)
            messages.append((number, dump(one.mapping("body"))))
        return messages

    def _hand_over(self, number: int, body: bytes) -> None:
        with self._lock:
            if number in self._held or number in self._acknowledged:
                return  # its lease ended while it is being worked on: the answer will settle it
            self._held.add(number)
        try:
            self._handle(Delivery(body, functools.partial(self._acknowledge, number)))
        except Exception:
            log.exception("the handler of relay messages failed; the message comes again after a restart")

    def _acknowledge(self, number: int) -> None:
        with self._lock:
            if number in self._held:
                self._held.remove(number)
                self._acknowledged.append(number)
                self._lock.notify_all()

    def _acknowledge_forever(self) -> None:
        backoff = self._backoff()
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._acknowledged or self._closing.is_set())
            self._closing.wait(_GATHER)
            with self._lock:
                numbers = self._acknowledged[:1000]
            last = self._closing.is_set()
            if numbers:
                try:
                    body = json.dumps({"session": self._session, "ids": numbers}).encode("ascii")
                    self._request("POST", "acknowledge", body=body, seconds=_CLOSE_PATIENCE / 2 if last else 10.0)
                    backoff.reset()
                except RelayError as error:
                    log.warning("%d messages could not be acknowledged yet: %s", len(numbers), error)
                    if not last:
                        self._closing.wait(backoff.next())
                        continue
                with self._lock:
                    del self._acknowledged[: len(numbers)]
            if last:
                return

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        seconds: float,
        largest: int = 64 << 10,
        media: str = "",
    ) -> bytes:
        """One exchange under ``/api/v1/relay/``; anything but success is an error of the tree."""
        status, answer = self._transport.exchange(
            method, f"/api/v1/relay/{path}", body=body, seconds=seconds, largest=largest, media=media
        )
        if 200 <= status < 300:
            return answer
        problem = f"{self._transport}: {status}{_title(answer)}"
        if status == _SUPERSEDED:
            raise _Superseded(problem, next_step="is its state directory in use on another machine?")
        if status >= 500 or status < 400 or status in _TRY_AGAIN:  # a redirection is somebody else's answer
            raise RelayUnavailable(problem)
        if status in _DENIED:
            raise RelayDenied(problem, next_step="is the agent approved?")
        if status == _GONE:
            raise RelayUnwanted(problem)
        raise MessageTooLarge(problem) if status == _TOO_LARGE else RelayRefused(problem)


class _Superseded(RelayUnavailable):
    """Another process of this agent receives its messages."""


def _title(answer: bytes) -> str:
    """What a problem document (RFC 9457) says in one line."""
    with contextlib.suppress(InvalidDocument):
        problem = load(answer, subject="problem", max_bytes=64 << 10)
        if isinstance(problem, dict):
            detail = problem.get("detail")
            return f" {problem.get('title', '')!s:.200}" + (f": {detail:.300}" if isinstance(detail, str) else "")
    return ""
