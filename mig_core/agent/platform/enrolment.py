"""Becoming known to the platform: the agent introduces itself with its key and is given a login for the relay.

With the platform's secret it is admitted at once, without it an investigator approves it (``mig agent approve``).
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mig_core.agent.platform.given import Gift
from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import AgentState, Enrolment
from mig_core.domain.document import load, members
from mig_core.durable import remove_file, replace_file
from mig_core.errors import InvalidDocument, MigError, RelayDenied, RelayUnavailable
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from mig_core.agent.platform.given import Given
    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.document import JSON
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)

_PATH = "/api/v1/enrol"
_MAX_ANSWER_BYTES = 64 << 10
_SECONDS = 20.0
_SLOWEST = 60.0


class Transport(Protocol):
    """HTTP exchanges with the API: :class:`mig_core.relay.https_transport.HttpsTransport`."""

    def exchange(
        self, method: str, path: str, *, body: bytes | None, seconds: float, largest: int
    ) -> tuple[int, bytes]:
        """Status and content of the answer.

        Raises:
            RelayUnavailable: no answer, or a larger one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """What the platform gave us. ``token`` is empty while the approval is pending."""

    state: AgentState
    token: str
    relay: str


class Enroller:
    """Introduces this agent.

    Args:
        transport: to the API.
        key: the agent's identity.
        facts: what it says of itself.
        relay: ``amqp`` or ``https``.
        secret: reads the platform's enrolment secret; empty: wait for approval.
        token_file: keeps the login (0600).
        given: keeps what the enrolment secret gives.
        clock: the time now.
    """

    def __init__(
        self,
        transport: Transport,
        key: AgentKey,
        *,
        facts: Callable[[], AgentFacts],
        relay: str,
        secret: Callable[[], str],
        token_file: Path,
        given: Given,
        clock: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._key = key
        self._facts = facts
        self._relay = relay
        self._secret = secret
        self._token_file = token_file
        self._given = given
        self._clock = clock

    @property
    def relay(self) -> str:
        """``amqp`` or ``https``: where it listens by its settings, else where the platform told it to."""
        return "amqp" if self._relay == "amqp" or self._given.gift().relay else self._relay

    def saved_token(self) -> str:
        """The token of an earlier enrolment for the same relay; empty when there is none."""
        try:
            saved = json.loads(self._token_file.read_bytes()[:8192])
            return str(saved["token"]) if saved["relay"] == self.relay else ""
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be used, enrolling again: %s", self._token_file, error)
            return ""

    def forget_token(self) -> None:
        """The login does not work any more."""
        remove_file(self._token_file)

    def enrol_once(self) -> Login:
        """One introduction.

        Raises:
            RelayUnavailable: no usable answer now.
            RelayDenied: the platform does not want us.
            OSError: the secret cannot be read, or the token not be kept.
        """
        asked = self.relay
        enrolment = Enrolment(self._facts(), self._key.public_key, asked, self._secret(), self._clock())
        body = self._key.sign(envelopes.ENROL, enrolment.to_payload()).to_bytes()
        status, content = self._transport.exchange(
            "POST", _PATH, body=body, seconds=_SECONDS, largest=_MAX_ANSWER_BYTES
        )
        if status not in (200, 202):
            raise _problem(status, content)
        try:
            fields = members(
                load(content, subject="enrolment answer", max_bytes=_MAX_ANSWER_BYTES), subject="enrolment answer"
            )
            state = AgentState(fields.text("state", max_length=20))
            token = fields.text("token", max_length=4000, default="")
            relay = fields.text("relay", max_length=10, default=asked)
            gift = Gift(_tags(fields.mapping("tags", default={})), fields.text("relayurl", max_length=1000, default=""))
        except (InvalidDocument, ValueError) as error:
            raise RelayUnavailable(f"the enrolment was not answered as expected: {error}") from error
        if token:
            # First what is never given again, so that no crash in between loses it.
            self._given.keep(gift if _is_usable(gift.relay) else Gift(gift.tags))
            replace_file(self._token_file, json.dumps({"relay": asked, "token": token}).encode("ascii"))
        return Login(state, token, relay)

    def enrol(self, wait: Callable[[float], bool]) -> str:
        """Introduces itself until it is admitted; returns the token, or empty when ``wait`` says so.

        Args:
            wait: waits so many seconds; True means to give up.
        """
        backoff = Backoff(5.0, _SLOWEST)
        told = ""
        while True:
            try:
                login = self.enrol_once()
                if login.token and self.saved_token():
                    log.info("enrolled as agent %s", self._key.agent_id)
                    return login.token
                if login.token:
                    log.info("the platform says to listen on %s: enrolling there", self._given.gift().relay)
                    continue
                problem = f"waiting for approval: mig agent approve {self._key.agent_id}"
            except (MigError, OSError) as error:
                problem = f"not enrolled yet: {error}"
            if problem != told:
                log.warning("%s", problem)
                told = problem
            if wait(backoff.next()):
                return ""


def _tags(given: Mapping[str, JSON]) -> dict[str, str]:
    """Those that are texts; the platform checked them too."""
    return {key[:256]: value[:1024] for key, value in given.items() if isinstance(value, str)}


def _is_usable(relay: str) -> bool:
    """Whether it is where an agent can listen, or nothing."""
    if not relay or relay.startswith(("amqps://", "amqp://")):
        return True
    log.error("the platform says to listen on %r, which this agent cannot: it listens at the API", relay[:200])
    return False


def _problem(status: int, content: bytes) -> RelayDenied | RelayUnavailable:
    text = f"HTTP {status}"
    with contextlib.suppress(InvalidDocument, ValueError):
        document = load(content, subject="problem", max_bytes=_MAX_ANSWER_BYTES)
        if isinstance(document, dict):
            text = str(document.get("detail") or document.get("title") or text)[:500]
    if status in (401, 403, 400, 422):
        return RelayDenied(f"the platform refuses the enrolment: {text}", next_step="check enrolment_secret_file")
    return RelayUnavailable(f"the platform did not take the enrolment: {text}")
