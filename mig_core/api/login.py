"""Login by signed nonce, logout, and the bootstrap of the first investigator.

An investigator asks for a nonce (single use, 60 s), signs ``{nonce, fingerprint, issuedat, api}`` and gets a session
token in return. The token is stored only as its SHA-256; disabling the investigator ends it at once.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mig_core.api.documents import investigator_document
from mig_core.api.exchange import MAX_SMALL_BODY, Access, Bound, Call, Parameter, Reply, Route
from mig_core.api.keys import MAX_KEY_BYTES
from mig_core.api.middleware import digest_of
from mig_core.domain import envelope as envelopes
from mig_core.domain.document import load, members
from mig_core.domain.envelope import read_envelope
from mig_core.domain.ids import check_fingerprint
from mig_core.domain.times import format_time
from mig_core.errors import ApiError, MigError, Refused, SignatureInvalid
from mig_core.store.rows import Investigator, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.bootstrap import BootstrapSecret
    from mig_core.api.keys import InvestigatorKeys
    from mig_core.api.limiter import Limiter, LoginFailures
    from mig_core.api.platform_log import FailureNotes
    from mig_core.store.base import Investigators

log = logging.getLogger(__name__)

NONCE_LIFETIME = timedelta(seconds=60)
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
MAX_NAME = 200


class LoginResources:
    """Nonces, sessions, bootstrap.

    Args:
        public_url: The address investigators know this API by; logins signed for another one are refused. Empty: the
            address is not checked.
        failures: Limits wrong logins, by account and client.
        bootstraps: Limits wrong bootstraps by client.
        nonces: Limits how fast one client gets nonces.
        notes: Writes failures into the platform log.
        new_token: Makes unguessable texts.
    """

    def __init__(
        self,
        investigators: Investigators,
        keys: InvestigatorKeys,
        bootstrap: BootstrapSecret,
        *,
        session_lifetime: timedelta,
        public_url: str,
        failures: LoginFailures,
        bootstraps: Limiter,
        nonces: Limiter,
        notes: FailureNotes,
        clock: Callable[[], datetime],
        new_token: Callable[[], str],
    ) -> None:
        self._investigators = investigators
        self._keys = keys
        self._bootstrap = bootstrap
        self._session_lifetime = session_lifetime
        self._public_url = public_url
        self._failures = failures
        self._bootstraps = bootstraps
        self._nonces = nonces
        self._notes = notes
        self._clock = clock
        self._new_token = new_token

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route("POST", "/login/nonce", "A nonce to be signed", Access.ANYONE, 201, response="Nonce"), self.nonce
        )
        yield Bound(
            Route(
                "POST",
                "/login",
                "A session for a signed nonce",
                Access.ANYONE,
                201,
                body=MAX_SMALL_BODY,
                request="Envelope",
                response="Session",
            ),
            self.login,
        )
        yield Bound(
            Route(
                "POST",
                "/logout",
                "Ends the session",
                Access.INVESTIGATOR,
                204,
                query=(Parameter("everywhere", "true: ends all sessions of this investigator", "boolean"),),
            ),
            self.logout,
        )
        yield Bound(
            Route(
                "POST",
                "/bootstrap",
                "Adds the first investigator, once, with the secret from mig-api's state directory",
                Access.ANYONE,
                201,
                body=MAX_SMALL_BODY + MAX_KEY_BYTES,
                request="Bootstrap",
                response="Investigator",
            ),
            self.bootstrap,
        )

    async def nonce(self, call: Call) -> Reply:
        """POST /login/nonce"""
        self._nonces.check(call.bucket)
        self._nonces.spend(call.bucket)
        nonce = self._new_token()
        expires = self._clock() + NONCE_LIFETIME
        await self._investigators.put_nonce(digest_of(nonce), expires)
        return Reply({"nonce": nonce, "expires": format_time(expires)})

    async def login(self, call: Call) -> Reply:
        """POST /login"""
        envelope = read_envelope(call.body, expected_type=envelopes.LOGIN, max_bytes=MAX_SMALL_BODY)
        account = envelope.signatures[0].keyid.upper()
        self._failures.check(account, call.bucket)
        try:
            if len(envelope.signatures) != 1:
                raise SignatureInvalid(envelope.signatures[0].keyid[:80], "a login carries exactly one signature")
            investigator = await self._keys.signer(envelope, envelope.signatures[0], None)
            await self._check_login(envelope.payload, investigator)
        except (SignatureInvalid, Refused) as error:
            self._failures.spend(account, call.bucket)
            log.warning("login from %s refused: %s", call.address, error)
            await self._notes.failed("login.failed", account, str(error))
            raise ApiError(401, str(error), next_step=error.next_step) from error
        token = self._new_token()
        expires = self._clock() + self._session_lifetime
        await self._investigators.open_session(digest_of(token), investigator.fingerprint, expires)
        log.info("%s (%s) logged in", investigator.name, investigator.fingerprint)
        return Reply(
            {"token": token, "expires": format_time(expires), "investigator": investigator_document(investigator)}
        )

    async def _check_login(self, payload: bytes, investigator: Investigator) -> None:
        fields = members(load(payload, subject="login", max_bytes=MAX_SMALL_BODY), subject="login")
        nonce = fields.text("nonce", max_length=200)
        fingerprint = check_fingerprint(fields.take("fingerprint"), subject="login", path="fingerprint")
        issued_at = fields.time("issuedat")
        api = fields.text("api", max_length=1000)
        fields.close()
        now = self._clock()
        if fingerprint != investigator.fingerprint:
            raise Refused("login", "the document names another fingerprint than the signature")
        if abs(now - issued_at) > MAX_CLOCK_DIFFERENCE:
            raise Refused(
                "login",
                f"signed at {format_time(issued_at)}, here it is {format_time(now)}",
                next_step="set the clock of your machine",
            )
        if self._public_url and _place(api) != _place(self._public_url):
            raise Refused("login", f"was signed for {api[:200]}, this is {self._public_url}")
        if not await self._investigators.spend_nonce(digest_of(nonce), now):
            raise Refused("login", "the nonce is unknown, expired or spent", next_step="ask for a new one")

    async def logout(self, call: Call) -> Reply:
        """POST /logout"""
        if call.truth("everywhere"):
            await self._investigators.close_sessions(call.caller.fingerprint)
        else:
            await self._investigators.close_session(call.session_digest)
        return Reply()

    async def bootstrap(self, call: Call) -> Reply:
        """POST /bootstrap"""
        self._bootstraps.check(call.bucket)
        fields = call.document()
        secret = fields.text("secret", max_length=500)
        name = fields.text("name", max_length=MAX_NAME)
        armored = fields.text("publickey", max_length=MAX_KEY_BYTES).encode("utf-8", "replace")
        fields.close()
        if not name.strip():
            fields.refuse("name", "must not be empty")
        if not self._bootstrap.matches(secret):
            self._bootstraps.spend(call.bucket)
            await self._notes.failed("bootstrap.failed", name, "this is not the bootstrap secret, or it is spent")
            raise ApiError(
                403,
                "this is not the bootstrap secret, or it is spent",
                field="secret",
                next_step="it is in the file bootstrap-secret in mig-api's state directory",
            )
        now = self._clock()
        key = await self._keys.read_key(armored, now)
        investigator = Investigator(key.fingerprint, name.strip(), armored, frozenset(Permission), True, now)
        try:
            await self._investigators.bootstrap(investigator)
        except MigError:
            if await self._investigators.any():
                self._bootstrap.spend()
            raise
        self._bootstrap.spend()
        log.info("bootstrap: %s (%s) is the first investigator", investigator.name, investigator.fingerprint)
        return Reply(investigator_document(investigator))


def _place(url: str) -> tuple[str, str]:
    """Scheme and authority, which is what tells one API from another."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
