"""Which schedulers there are: each holds a connection, and with it the advisory lock of its number.

When a scheduler dies its connection ends with it, and PostgreSQL gives the lock away at once: nobody waits for a sign
of life, and no clock is asked. What it had leased bears its number; whoever gets the lock frees that. One that is slow,
or stopped, keeps its connection, and with it its leases until they end. One that only lost its connection works on:
what was taken from it meanwhile it finds out by its leases (:mod:`.outbox`), and what is handed over or recorded twice
does no harm. A machine that vanishes without a word is noticed by PostgreSQL itself, by its silence.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from mig_core.cancelling import cancels, heed_cancels
from mig_core.network.backoff import Backoff
from mig_core.store.notify import notify
from mig_core.store.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.store.database import Cursor

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks at who has ended."""
MAX_PAUSE = 5.0
"""Seconds between two attempts to connect, at most."""
OTHERS_COME_BACK = MAX_PAUSE + 1.0
"""Seconds without a look after a connection that was lost: if it was the database that was away, the others have lost
theirs, too, and are not dead."""
_SILENCE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}
"""libpq settings that end the connection after 11 s without a word from the other side."""

# PostgreSQL does the same to us; over a socket of the machine itself it is ignored.
_HEAR_SILENCE = """
    SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),
           set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '11000', false)
"""
_LOCK = "SELECT pg_advisory_lock(%s)"
_ENTER = "INSERT INTO schedulers (number) VALUES (%s) ON CONFLICT DO NOTHING"
_ENDED = "SELECT number FROM schedulers WHERE number <> %s AND pg_try_advisory_xact_lock(number)"
_FORGET = "DELETE FROM schedulers WHERE number = ANY(%s)"
# The lease ends, but it was one: the relay may have what is freed here, and a cancel has to follow it.
_FREE_COMMANDS = """
    UPDATE unsent_commands SET leased_until = 'epoch', leased_by = NULL WHERE id IN (
        SELECT id FROM unsent_commands WHERE leased_by = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
"""
_FREE_CANCELS = """
    UPDATE unsent_cancels SET leased_until = 'epoch', leased_by = NULL WHERE (action_id, agent_id) IN (
        SELECT action_id, agent_id FROM unsent_cancels WHERE leased_by = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED)
"""
_FREE_TAKES = "DELETE FROM relay_takes WHERE leased_by = ANY(%s)"


def new_number() -> int:
    """A scheduler's number: no other program's, and of no other lock."""
    return (1 << 32) + secrets.randbelow(1 << 62)


class PostgresPresence:
    """:class:`mig_core.store.base.Presence` in PostgreSQL."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._number = number

    async def keep(self) -> None:
        """See the protocol."""
        backoff = Backoff(0.2, MAX_PAUSE)
        first_look = 0.0
        since = cancels()
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    application_name="mig-presence",
                    connect_timeout=10,
                    row_factory=dict_row,
                    **_SILENCE,
                ) as connection:
                    await self._enter(connection)
                    backoff.reset()
                    await asyncio.sleep(first_look)
                    while True:
                        heed_cancels(since)
                        await self._free(connection)
                        await asyncio.sleep(EVERY)
            except (psycopg.Error, OSError) as error:
                heed_cancels(since)
                problem = without_password(error, self._url)
                log.warning("presence: connection to the database lost, trying again: %s", problem)
            first_look = OTHERS_COME_BACK
            await asyncio.sleep(backoff.next())

    async def _enter(self, connection: psycopg.AsyncConnection[dict[str, object]]) -> None:
        """Takes the lock, then says whose it is; waits while PostgreSQL still believes in our last connection."""
        await connection.execute(_HEAR_SILENCE)
        await connection.execute(_LOCK, (self._number,))
        await connection.execute(_ENTER, (self._number,))

    async def _free(self, connection: psycopg.AsyncConnection[dict[str, object]]) -> None:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(_ENDED, (self._number,))
            ended = [row["number"] for row in await cursor.fetchall()]
            if ended:
                await _free_all(cursor, ended)


async def _free_all(cursor: Cursor, ended: Sequence[object]) -> None:
    freed = []
    for statement in (_FREE_COMMANDS, _FREE_CANCELS, _FREE_TAKES, _FORGET):
        await cursor.execute(statement, (ended,))
        freed.append(cursor.rowcount)
    commands, cancelled, takes, _ = freed
    if commands or cancelled:
        await notify(cursor, "outbox")
    if takes:
        await notify(cursor, "inbound")
    log.info(
        "schedulers that have ended: %d; what they had is free again: %d commands, %d cancels, %d batches of messages",
        len(ended),
        *freed[:3],
    )
