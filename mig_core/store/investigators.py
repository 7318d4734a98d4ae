"""Investigators, their login nonces and sessions. Secrets are kept as SHA-256 only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.ids import Fingerprint
from mig_core.errors import Conflict, NotFound
from mig_core.store.encoding import clean_text
from mig_core.store.rows import Investigator, Permission

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.store.database import Cursor, Database, Row

_COLUMNS = "fingerprint, name, public_key, permissions, active, created_at, removed_at"
# Against two changes at once that together would leave nobody in charge, or make two first investigators.
_LOCK = "LOCK TABLE investigators IN SHARE ROW EXCLUSIVE MODE"


class PostgresInvestigators:
    """:class:`mig_core.store.base.Investigators` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def any(self) -> bool:
        """See the protocol."""

        async def work(cursor: Cursor) -> bool:
            await cursor.execute("SELECT 1 FROM investigators LIMIT 1")
            return await cursor.fetchone() is not None

        return await self._database.transaction(work)

    async def bootstrap(self, investigator: Investigator) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_LOCK)
            await cursor.execute("SELECT 1 FROM investigators LIMIT 1")
            if await cursor.fetchone() is not None:
                raise Conflict(
                    "the first investigator exists already",
                    next_step="ask an investigator with the permission 'investigators' to add you",
                )
            await _insert(cursor, investigator)

        await self._database.transaction(work)

    async def add(self, investigator: Investigator) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await _insert(cursor, investigator)

        await self._database.transaction(work)

    async def get(self, fingerprint: Fingerprint) -> Investigator:
        """See the protocol."""

        async def work(cursor: Cursor) -> Investigator:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM investigators WHERE fingerprint = %s",  # noqa: S608 - a constant
                (clean_text(fingerprint),),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFound("investigator", fingerprint)
            return _investigator(row)

        return await self._database.statement(work)

    async def list(self) -> Sequence[Investigator]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[Investigator]:
            await cursor.execute(
                f"SELECT {_COLUMNS} FROM investigators WHERE removed_at IS NULL ORDER BY name, fingerprint"  # noqa: S608 - a constant
            )
            return [_investigator(row) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def change(
        self, fingerprint: Fingerprint, *, active: bool | None = None, permissions: frozenset[Permission] | None = None
    ) -> Investigator:
        """See the protocol."""
        names = None if permissions is None else sorted(permissions)

        async def work(cursor: Cursor) -> Investigator:
            await cursor.execute(_LOCK)
            statement = f"""
                UPDATE investigators
                   SET active = coalesce(%s, active), permissions = coalesce(%s::text[], permissions)
                 WHERE fingerprint = %s AND removed_at IS NULL RETURNING {_COLUMNS}
            """  # noqa: S608 - a constant
            await cursor.execute(statement, (active, names, clean_text(fingerprint)))
            return await _changed(cursor, fingerprint)

        return await self._database.transaction(work)

    async def remove(self, fingerprint: Fingerprint, now: datetime) -> Investigator:
        """See the protocol."""

        async def work(cursor: Cursor) -> Investigator:
            await cursor.execute(_LOCK)
            statement = f"""
                UPDATE investigators SET active = false, permissions = '{{}}', removed_at = %s
                 WHERE fingerprint = %s AND removed_at IS NULL RETURNING {_COLUMNS}
            """  # noqa: S608 - a constant
            await cursor.execute(statement, (now, clean_text(fingerprint)))
            return await _changed(cursor, fingerprint)

        return await self._database.transaction(work)

    async def put_nonce(self, digest: bytes, expires: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM login_nonces WHERE expires < %s - interval '1 hour'", (expires,))
            await cursor.execute("INSERT INTO login_nonces (digest, expires) VALUES (%s, %s)", (digest, expires))

        await self._database.transaction(work)

    async def spend_nonce(self, digest: bytes, now: datetime) -> bool:
        """See the protocol."""

        async def work(cursor: Cursor) -> bool:
            await cursor.execute(
                "DELETE FROM login_nonces WHERE digest = %s RETURNING expires > %s AS good", (digest, now)
            )
            row = await cursor.fetchone()
            return row is not None and bool(row["good"])

        return await self._database.transaction(work)

    async def open_session(self, digest: bytes, fingerprint: Fingerprint, expires: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            # By the caller's clock: expired long before this one will. Nobody's open session expires so much earlier.
            await cursor.execute(
                "DELETE FROM sessions WHERE expires < least(now(), %s - interval '30 days')", (expires,)
            )
            # The lock makes a login that races with being disabled wait, and then find no active investigator.
            await cursor.execute(
                "SELECT 1 FROM investigators WHERE fingerprint = %s AND active FOR SHARE", (clean_text(fingerprint),)
            )
            if await cursor.fetchone() is None:
                raise NotFound("investigator", fingerprint)
            await cursor.execute(
                "INSERT INTO sessions (digest, fingerprint, expires) VALUES (%s, %s, %s)",
                (digest, fingerprint, expires),
            )

        await self._database.transaction(work)

    async def session(self, digest: bytes, now: datetime) -> Investigator | None:
        """See the protocol."""

        async def work(cursor: Cursor) -> Investigator | None:
            statement = f"""
                SELECT {_COLUMNS} FROM investigators JOIN sessions s USING (fingerprint)
                 WHERE s.digest = %s AND s.expires > %s AND active
            """  # noqa: S608 - a constant
            await cursor.execute(statement, (digest, now))
            row = await cursor.fetchone()
            return None if row is None else _investigator(row)

        return await self._database.statement(work)

    async def close_sessions(self, fingerprint: Fingerprint) -> int:
        """See the protocol."""

        async def work(cursor: Cursor) -> int:
            await cursor.execute("DELETE FROM sessions WHERE fingerprint = %s", (clean_text(fingerprint),))
            return cursor.rowcount

        return await self._database.transaction(work)

    async def close_session(self, digest: bytes) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM sessions WHERE digest = %s", (digest,))

        await self._database.transaction(work)


async def _changed(cursor: Cursor, fingerprint: Fingerprint) -> Investigator:
    """What an update of one investigator returned, when somebody is left who may manage investigators."""
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("investigator", fingerprint)
    await cursor.execute(
        "SELECT 1 FROM investigators WHERE active AND %s = ANY(permissions) LIMIT 1",
        (Permission.INVESTIGATORS.value,),
    )
    if await cursor.fetchone() is None:
        raise Conflict(
            f"{row['name']} is the last active investigator with the permission 'investigators'",
            next_step="give that permission to somebody else first",
        )
    if not row["active"]:
        await cursor.execute("DELETE FROM sessions WHERE fingerprint = %s", (row["fingerprint"],))
    return _investigator(row)


async def _insert(cursor: Cursor, one: Investigator) -> None:
    await cursor.execute("SELECT removed_at FROM investigators WHERE fingerprint = %s FOR UPDATE", (one.fingerprint,))
    known = await cursor.fetchone()
    if known is not None and known["removed_at"] is None:
        raise Conflict(f"investigator {one.fingerprint} exists already")
    await cursor.execute(
        f"""
        INSERT INTO investigators ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, NULL)
        ON CONFLICT (fingerprint) DO UPDATE
           SET name = excluded.name, public_key = excluded.public_key, permissions = excluded.permissions,
               active = excluded.active, created_at = excluded.created_at, removed_at = NULL
        """,  # noqa: S608 - a constant
        (
            one.fingerprint,
            clean_text(one.name),
            one.public_key,
            sorted(one.permissions),
            one.active,
            one.created_at,
        ),
    )


def _investigator(row: Row) -> Investigator:
    return Investigator(
        fingerprint=Fingerprint(row["fingerprint"]),
        name=row["name"],
        public_key=row["public_key"],
        permissions=frozenset(Permission(one) for one in row["permissions"]),
        active=row["active"],
        created_at=row["created_at"],
        removed_at=row["removed_at"],
    )
