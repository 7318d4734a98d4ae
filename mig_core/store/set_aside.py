"""Messages of agents that cannot be recorded, out of the way of the others, until an operator has looked at them.

Schedulers put them here (:class:`PostgresSetAside`); the functions are for ``mig-admin set-aside``, as the owner.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from mig_core.errors import NotFound, StoreError
from mig_core.store import roles
from mig_core.store.database import first_line
from mig_core.store.encoding import clean_text
from mig_core.store.notify import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mig_core.domain.messages import Inbound
    from mig_core.store.database import Cursor, Database

MOST_MESSAGES = 10_000
"""Beyond this the oldest is forgotten."""
MOST_BYTES = 256 << 20
"""Bodies kept; of what comes beyond this only reason and size are."""
MAX_REASON = 2000

_PUT = """
    INSERT INTO set_aside (relay, kind, agent_id, reason, size, body, set_aside_at)
    SELECT %(relay)s, %(kind)s, %(agent)s, %(reason)s, %(size)s,
           CASE WHEN coalesce(sum(octet_length(body)), 0) + %(size)s <= %(most)s THEN %(body)s::bytea END, %(now)s
      FROM set_aside
    RETURNING id
"""
_OLDEST = "DELETE FROM set_aside WHERE id <= (SELECT id FROM set_aside ORDER BY id DESC OFFSET %s LIMIT 1)"


class PostgresSetAside:
    """:class:`mig_core.store.base.SetAside` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, relay: str, message: Inbound, reason: str, now: datetime) -> int:
        """See the protocol."""
        values = {
            "relay": clean_text(relay),
            "kind": message.kind.value,
            "agent": clean_text(message.agent),
            "reason": clean_text(reason)[:MAX_REASON],
            "size": len(message.body),
            "body": message.body,
            "most": MOST_BYTES,
            "now": now,
        }

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_PUT, values)
            row = await cursor.fetchone()
            assert row is not None
            await cursor.execute(_OLDEST, (MOST_MESSAGES,))
            return int(row["id"])

        return await self._database.transaction(work)

    async def forget(self, *, before: datetime) -> int:
        """See the protocol."""

        async def work(cursor: Cursor) -> int:
            await cursor.execute("DELETE FROM set_aside WHERE set_aside_at < %s", (before,))
            return cursor.rowcount

        return await self._database.transaction(work)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A message that was set aside. ``kept``: its body is still here."""

    number: int
    relay: str
    kind: str
    agent: str
    reason: str
    size: int
    kept: bool
    at: datetime


def shelved(owner_url: str) -> Sequence[Shelved]:
    """All messages that are set aside, the oldest first.

    Raises:
        StoreError
    """
    with _connected(owner_url) as connection:
        rows = connection.execute(
            "SELECT id, relay, kind, agent_id, reason, size, body IS NOT NULL, set_aside_at FROM set_aside ORDER BY id"
        ).fetchall()
    return [Shelved(*row) for row in rows]  # type: ignore[arg-type]  # rows are untyped


def shelved_body(owner_url: str, number: int) -> bytes:
    """A message as it came.

    Raises:
        NotFound: there is no such message, or its body was too much to be kept.
        StoreError
    """
    with _connected(owner_url) as connection:
        row = connection.execute("SELECT body FROM set_aside WHERE id = %s", (number,)).fetchone()
    if row is None or not isinstance(row[0], bytes):
        raise NotFound("message", f"number {number}, or its body was not kept")
    return row[0]


def take_again(owner_url: str, numbers: Sequence[int]) -> int:
    """Lets schedulers try these messages (none: all) once more; returns how many.

    Raises:
        StoreError
    """
    with _connected(owner_url) as connection:
        moved = connection.execute(
            """
            WITH moved AS (
                DELETE FROM set_aside WHERE body IS NOT NULL AND (id = ANY(%(ids)s) OR %(all)s)
                RETURNING agent_id, kind, body
            )
            INSERT INTO relay_inbound (agent_id, kind, body) SELECT agent_id, kind, body FROM moved
            """,
            {"ids": list(numbers), "all": not numbers},
        ).rowcount
        connection.execute("SELECT pg_notify(%s, '')", (PREFIX + "inbound",))
    return moved


def drop(owner_url: str, numbers: Sequence[int]) -> int:
    """Deletes these messages (none: all) for good; returns how many.

    Raises:
        StoreError
    """
    with _connected(owner_url) as connection:
        return connection.execute(
            "DELETE FROM set_aside WHERE id = ANY(%s) OR %s", (list(numbers), not numbers)
        ).rowcount


@contextmanager
def _connected(owner_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection with one transaction."""
    with roles.connect(owner_url) as connection:
        try:
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            raise StoreError(f"database: {first_line(error)}") from error
