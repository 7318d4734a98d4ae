"""Secrets that admit agents, in PostgreSQL. Looked at within the transaction that admits: each use counts once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mig_core.domain.ids import Fingerprint
from mig_core.domain.times import format_time
from mig_core.errors import Conflict, NoRoom, NotFound, Refused
from mig_core.store.encoding import clean_text, jsonb
from mig_core.store.rows import EnrolmentSecret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mig_core.store.database import Cursor, Database, Row

MOST = 1000
"""So many may there be, revoked ones too: a name never stands for two."""
CHECK = "enrolment"
"""What a refusal's ``check`` says."""

_COLUMNS = (
    "name, created_at, created_by, expires_at, uses_left, used, last_used_at, tags, relay, revoked_at, revoked_by"
)
_LOCKED = f"SELECT {_COLUMNS}, digest FROM enrolment_secrets WHERE digest = ANY(%s) ORDER BY name FOR UPDATE"  # noqa: S608 - a constant
_USED = """
    UPDATE enrolment_secrets SET used = used + %(uses)s, uses_left = uses_left - %(uses)s, last_used_at = %(now)s
     WHERE name = %(name)s
"""


class PostgresEnrolmentSecrets:
    """:class:`mig_core.store.base.EnrolmentSecrets` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, secret: EnrolmentSecret, digest: bytes) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("SELECT count(*) AS number FROM enrolment_secrets")
            row = await cursor.fetchone()
            if row is not None and row["number"] >= MOST:
                raise NoRoom(f"there are {MOST} enrolment secrets, more may not be")
            await cursor.execute(
                """
                INSERT INTO enrolment_secrets (name, digest, created_at, created_by, expires_at, uses_left, tags, relay)
                VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s) ON CONFLICT (name) DO NOTHING
                """,
                (
                    secret.name,
                    digest,
                    secret.created_at,
                    secret.created_by,
                    secret.expires_at,
                    secret.uses_left,
                    jsonb(secret.tags),
                    clean_text(secret.relay),
                ),
            )
            if cursor.rowcount != 1:
                raise Conflict(
                    f"there is, or was, an enrolment secret {secret.name}", next_step="choose another name for this one"
                )

        await self._database.transaction(work)

    async def list(self) -> Sequence[EnrolmentSecret]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[EnrolmentSecret]:
            await cursor.execute(f"SELECT {_COLUMNS} FROM enrolment_secrets ORDER BY name")  # noqa: S608 - a constant
            return [_secret(row) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def revoke(self, name: str, by: Fingerprint, now: datetime) -> EnrolmentSecret:
        """See the protocol."""

        async def work(cursor: Cursor) -> EnrolmentSecret:
            await cursor.execute(
                "UPDATE enrolment_secrets SET revoked_at = %s, revoked_by = %s WHERE name = %s AND revoked_at IS NULL",
                (now, by, clean_text(name)),
            )
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM enrolment_secrets WHERE name = %s",  # noqa: S608 - a constant
                (clean_text(name),),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFound("enrolment secret", name, next_step="mig enrolment list")
            return _secret(row)

        return await self._database.transaction(work)


class Granting:
    """Secrets that are used within one transaction, which nobody else uses until it ends.

    Args:
        cursor: the transaction's.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._known: dict[bytes, EnrolmentSecret] = {}
        self._uses: Counter[bytes] = Counter()
        self._last: dict[bytes, datetime] = {}

    async def lock(self, digests: Iterable[bytes]) -> None:
        """Reads the secrets with these SHA-256, those that are there. Once, before any is used."""
        if wanted := list(set(digests)):
            await self._cursor.execute(_LOCKED, (wanted,))
            self._known = {bytes(row["digest"]): _secret(row) for row in await self._cursor.fetchall()}

    def use(self, digest: bytes, now: datetime) -> EnrolmentSecret:
        """The secret, of which one use is gone now.

        Raises:
            Refused: it admits nobody; says why, to whoever has it.
        """
        known = self._known.get(digest)
        if known is None:
            raise Refused(
                CHECK,
                "this is no enrolment secret of the platform",
                next_step="correct the agent's platform.enrolment_secret_file, or remove it and let it be approved",
            )
        why = ""
        if known.revoked_at is not None:
            why = f"was revoked at {format_time(known.revoked_at)}"
        elif known.expires_at is not None and known.expires_at <= now:
            why = f"expired at {format_time(known.expires_at)}"
        elif known.uses_left is not None and known.uses_left <= self._uses[digest]:
            why = "is used up"
        if why:
            raise Refused(
                CHECK, f"the enrolment secret {known.name} {why}", next_step="ask for another: mig enrolment add"
            )
        self._uses[digest] += 1
        self._last[digest] = now
        return known

    def give_back(self, digest: bytes) -> None:
        """One use did not happen."""
        self._uses[digest] -= 1

    async def write(self) -> None:
        """What was used. Once, at the end."""
        used = [
            {"name": self._known[digest].name, "uses": uses, "now": self._last[digest]}
            for digest, uses in sorted(self._uses.items())
            if uses
        ]
        if used:
            await self._cursor.executemany(_USED, used)


def _secret(row: Row) -> EnrolmentSecret:
    return EnrolmentSecret(
        name=row["name"],
        created_at=row["created_at"],
        created_by=Fingerprint(row["created_by"]),
        expires_at=row["expires_at"],
        uses_left=row["uses_left"],
        used=row["used"],
        last_used_at=row["last_used_at"],
        tags=row["tags"],
        relay=row["relay"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"],
    )
