"""Named secrets that admit agents: added, listed and revoked while the platform works. Each is shown once."""

from __future__ import annotations

import hmac
import logging
import re
from typing import TYPE_CHECKING

from mig_core.api.documents import page, time_or_null
from mig_core.api.exchange import MAX_SMALL_BODY, Bound, Call, Reply, Route
from mig_core.api.middleware import digest_of
from mig_core.domain.document import dump
from mig_core.domain.times import format_time
from mig_core.errors import Refused
from mig_core.store.rows import EnrolmentSecret, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.domain.document import JSON, Members
    from mig_core.store.base import EnrolmentSecrets

log = logging.getLogger(__name__)

SETTINGS = "(settings)"
"""The one of ``enrolment_secret_file``, as it is listed."""
MAX_TAGS_BYTES = 4 << 10
MAX_USES = 1 << 40
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class EnrolmentSecretResources:
    """Add, list, revoke.

    Args:
        of_settings: gives the state of the settings' own secret; empty: there is none.
        new_token: makes an unguessable text.
    """

    def __init__(
        self,
        secrets: EnrolmentSecrets,
        *,
        of_settings: Callable[[], str],
        clock: Callable[[], datetime],
        new_token: Callable[[], str],
    ) -> None:
        self._secrets = secrets
        self._of_settings = of_settings
        self._clock = clock
        self._new_token = new_token

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/enrolment-secrets",
                "Secrets that admit agents, or did, by name; never the secrets themselves",
                Permission.AGENTS,
                response="EnrolmentSecretList",
            ),
            self.list,
        )
        yield Bound(
            Route(
                "POST",
                "/enrolment-secrets",
                "Adds a secret that admits agents, and shows it this once",
                Permission.AGENTS,
                201,
                body=MAX_SMALL_BODY,
                request="NewEnrolmentSecret",
                response="ShownEnrolmentSecret",
            ),
            self.add,
        )
        yield Bound(
            Route(
                "POST",
                "/enrolment-secrets/{name}/revoke",
                "Lets a secret admit nobody any more; agents that it admitted stay",
                Permission.AGENTS,
                response="EnrolmentSecret",
            ),
            self.revoke,
        )

    async def list(self, call: Call) -> Reply:
        """GET /enrolment-secrets"""
        now = self._clock()
        rows: list[JSON] = [secret_document(row, now) for row in await self._secrets.list()]
        if state := self._of_settings():
            rows.insert(0, {**_EMPTY, "name": SETTINGS, "state": state})
        return Reply(page(rows, ""))

    async def add(self, call: Call) -> Reply:
        """POST /enrolment-secrets"""
        fields = call.document()
        now = self._clock()
        name = fields.text("name", max_length=64)
        if not _NAME.fullmatch(name):
            fields.refuse("name", "must be of a-z, 0-9, dots, dashes and underscores, and begin with a letter or digit")
        expires = fields.time("expires") if fields.has("expires") else None
        if expires is not None and expires <= now:
            fields.refuse("expires", f"must be in the future, here it is {format_time(now)}")
        uses = fields.integer("uses", minimum=1, maximum=MAX_USES) if fields.has("uses") else None
        tags = _tags(fields)
        relay = fields.text("relay", max_length=1000, default="")
        if relay and not relay.startswith(("amqps://", "amqp://")):
            fields.refuse("relay", "must begin with amqps:// or amqp://, or be empty")
        if "@" in relay:
            fields.refuse("relay", "must have no login in it: every agent has its own")
        fields.close()
        row = EnrolmentSecret(name, now, call.caller.fingerprint, expires, uses, tags=tags, relay=relay)
        secret = self._new_token()
        await self._secrets.add(row, digest_of(secret))
        log.info("enrolment secret %s added by %s", name, call.caller.name)
        return Reply({**secret_document(row, now), "secret": secret})

    async def revoke(self, call: Call) -> Reply:
        """POST /enrolment-secrets/{name}/revoke"""
        name = call.path["name"]
        if name == SETTINGS:
            raise Refused(
                "enrolment", "this secret is of mig-api's settings", next_step="remove enrolment_secret_file from them"
            )
        now = self._clock()
        row = await self._secrets.revoke(name, call.caller.fingerprint, now)
        log.info("enrolment secret %s revoked by %s", row.name, call.caller.name)
        return Reply(secret_document(row, now))


def secret_document(row: EnrolmentSecret, now: datetime) -> dict[str, JSON]:
    """A secret as it is listed: without itself."""
    return {
        "name": row.name,
        "state": _state(row, now),
        "created": format_time(row.created_at),
        "creator": row.created_by,
        "expires": time_or_null(row.expires_at),
        "usesleft": row.uses_left,
        "used": row.used,
        "lastused": time_or_null(row.last_used_at),
        "tags": dict(row.tags),
        "relay": row.relay,
        "revoked": time_or_null(row.revoked_at),
    }


def is_secret(known: str, given: str) -> bool:
    """Whether this is the settings' secret, compared in constant time; never when there is none."""
    return bool(known) and hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogatepass"))


_EMPTY: dict[str, JSON] = {
    "created": None,
    "creator": "",
    "expires": None,
    "usesleft": None,
    "used": None,
    "lastused": None,
    "tags": {},
    "relay": "",
    "revoked": None,
}


def _state(row: EnrolmentSecret, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return "used up" if row.uses_left == 0 else "usable"


def _tags(fields: Members) -> dict[str, str]:
    tags = fields.mapping("tags", default={})
    checked = {}
    for key, value in tags.items():
        if not isinstance(value, str) or not key or "\x00" in key + value:
            fields.refuse(f"tags.{key[:80]}", "must be a text")
        checked[key] = value
    if len(dump({**checked})) > MAX_TAGS_BYTES:
        fields.refuse("tags", f"must have at most {MAX_TAGS_BYTES} bytes")
    return checked
