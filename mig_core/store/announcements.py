"""Which ends of actions are still to be told, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.ids import ActionId
from mig_core.store.encoding import as_uuids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from mig_core.store.database import Cursor, Database

_CLAIM = """
    UPDATE actions
       SET announce_tries = announce_tries + 1,
           announce_after = %(now)s + %(pause)s * power(2, least(announce_tries, 10))
     WHERE id IN (
        SELECT id FROM actions
         WHERE announced_at IS NULL AND finished_at IS NOT NULL AND finished_at > %(since)s
           AND announce_tries < %(tries)s AND (announce_after IS NULL OR announce_after <= %(now)s)
         ORDER BY finished_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id, announce_tries
"""


class PostgresAnnouncements:
    """:class:`mig_core.store.base.Announcements` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, *, now: datetime, since: datetime, most_tries: int, pause: timedelta, limit: int
    ) -> Sequence[tuple[ActionId, int]]:
        """See the protocol."""
        values = {"now": now, "since": since, "tries": most_tries, "pause": pause, "limit": limit}

        async def work(cursor: Cursor) -> Sequence[tuple[ActionId, int]]:
            await cursor.execute(_CLAIM, values)
            return [(ActionId(str(row["id"])), row["announce_tries"]) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def done(self, actions: Sequence[ActionId], now: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("UPDATE actions SET announced_at = %s WHERE id = ANY(%s)", (now, as_uuids(actions)))

        await self._database.transaction(work)
