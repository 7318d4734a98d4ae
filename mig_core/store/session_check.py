"""What is wrong with a connection to the database that stands: a pooler that changes what is behind it, a server that
only reads.

Both let programs start and fail them later, each in its own way: notifications that never come, prepared statements and
settings that are not there, writes that are refused. So they are looked for once at the start, and by /healthz.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from mig_core.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_ONLY = "the database is read-only"
_SECONDS = 3.0
"""How long a pooler may let a second connection wait for a session."""
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on' AS is_read_only"


async def check_session(url: str, options: Mapping[str, Any]) -> None:
    """Returns when one connection is one session of a PostgreSQL that writes.

    Raises:
        psycopg.Error: it cannot be connected.
        ConfigurationError: a pooler gives each transaction another session.
        StoreUnavailable: the server is read-only.
    """
    connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(url, autocommit=True, **options)
    try:
        if await _is_shared(connection, url, options):
            raise ConfigurationError(
                "",
                "database.url",
                "goes through a pooler in transaction mode: each transaction gets another session, so that"
                " notifications, settings and prepared statements are lost",
                next_step="connect to PostgreSQL itself, or put the pooler into session mode (pool_mode = session)",
            )
        row = await (await connection.execute(_IS_READ_ONLY)).fetchone()
        if _first(row):
            raise StoreUnavailable(
                READ_ONLY,
                next_step="is it a standby? name the primary in database.url, or all of them and"
                " target_session_attrs=read-write",
            )
    finally:
        await connection.close()


async def check_writes(cursor: psycopg.AsyncCursor[Any]) -> None:
    """Returns when this session may write.

    Raises:
        ReadOnlySqlTransaction: as a write would: the session is a standby's, or one that was set so.
    """
    await cursor.execute(_IS_READ_ONLY)
    if _first(await cursor.fetchone()):
        raise errors.ReadOnlySqlTransaction(READ_ONLY)


async def _is_shared(ours: psycopg.AsyncConnection[Any], url: str, options: Mapping[str, Any]) -> bool:
    """Whether what we say may reach another session of PostgreSQL than what we said before.

    A direct connection is told the number of its session's process when it is made. Through a pooler it is made
    up, which does no harm while a session is ours until we leave. So another connection takes a session for the length
    of a transaction: if it takes ours, ours is another one afterwards, or we have to wait.
    """
    before = await _process(ours)
    if before == ours.info.backend_pid:
        return False
    other: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(url, autocommit=True, **options)
    try:
        try:
            async with asyncio.timeout(_SECONDS):
                await other.execute("BEGIN")
                await _process(other)
        except errors.ProtocolViolation:
            return True  # statement mode
        except (psycopg.Error, TimeoutError):
            return False  # there is no session but ours: nobody takes it away
        try:
            async with asyncio.timeout(_SECONDS):
                return await _process(ours) != before
        except TimeoutError:
            return True
    finally:
        await other.close()


async def _process(connection: psycopg.AsyncConnection[Any]) -> int:
    return int(_first(await (await connection.execute("SELECT pg_backend_pid()")).fetchone()))


def _first(row: Any) -> Any:
    return next(iter(row.values())) if isinstance(row, dict) else row[0]
