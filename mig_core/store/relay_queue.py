"""The queue behind the https relay: messages to agents, and what agents sent. Rows are leased, then removed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.messages import Claimed, Inbound, Kind
from mig_core.store.encoding import clean_text
from mig_core.store.notify import notify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Outgoing
    from mig_core.store.database import Cursor, Database

CHUNK_BYTES = 16 << 20
"""About how much goes to the server in one statement."""
TAKE_BYTES = 64 << 20
"""A batch of inbound messages ends before it is larger than this; one message is always given."""

_PUT = """
    INSERT INTO relay_messages (agent_id, body, expires)
    SELECT * FROM unnest(%s::text[], %s::bytea[], %s::timestamptz[])
"""
_CLAIM = """
    WITH claimed AS (
        SELECT id FROM relay_messages
         WHERE agent_id = %(agent)s AND expires > %(now)s
           AND (leased_until IS NULL OR leased_until <= %(now)s OR session IS DISTINCT FROM %(session)s)
         ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE relay_messages m SET session = %(session)s, leased_until = %(until)s
      FROM claimed WHERE m.id = claimed.id RETURNING m.id, m.body
"""
_OLDEST = """
    SELECT id, octet_length(body) AS size FROM relay_inbound
     WHERE leased_until IS NULL OR leased_until <= %s ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_TAKE = "UPDATE relay_inbound SET leased_until = %s WHERE id = ANY(%s) RETURNING id, kind, agent_id, body"


class PostgresRelayQueue:
    """:class:`mig_core.relay.base.RelayQueue` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_commands(self, messages: Sequence[Outgoing]) -> None:
        """See the protocol."""
        if not messages:
            return

        async def work(cursor: Cursor) -> None:
            for chunk in _chunks(messages):
                values = ([one.agent for one in chunk], [one.body for one in chunk], [one.expires for one in chunk])
                await cursor.execute(_PUT, values)
            await notify(cursor, "relay", {one.agent for one in messages})

        await self._database.transaction(work)

    async def claim(
        self, agent: AgentId, session: str, *, limit: int, lease: float, now: datetime
    ) -> Sequence[Claimed]:
        """See the protocol."""
        parameters = {
            "agent": clean_text(agent),
            "session": clean_text(session),
            "limit": limit,
            "now": now,
            "until": now + timedelta(seconds=lease),
        }

        async def work(cursor: Cursor) -> Sequence[Claimed]:
            await cursor.execute(_CLAIM, parameters)
            rows = sorted(await cursor.fetchall(), key=lambda row: row["id"])
            return [Claimed(row["id"], row["body"]) for row in rows]

        return await self._database.transaction(work)

    async def acknowledge(self, agent: AgentId, ids: Sequence[int]) -> None:
        """See the protocol."""
        possible = [one for one in ids if 0 < one < 1 << 63]

        async def work(cursor: Cursor) -> None:
            await cursor.execute(
                "DELETE FROM relay_messages WHERE id = ANY(%s::bigint[]) AND agent_id = %s",
                (possible, clean_text(agent)),
            )

        await self._database.transaction(work)

    async def put_inbound(self, agent: AgentId, kind: Kind, body: bytes) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(
                "INSERT INTO relay_inbound (agent_id, kind, body) VALUES (%s, %s, %s)",
                (clean_text(agent), kind.value, body),
            )
            await notify(cursor, "inbound")

        await self._database.transaction(work)

    async def take_inbound(self, *, limit: int, lease: float, now: datetime) -> Sequence[tuple[int, Inbound]]:
        """See the protocol. Fewer than ``limit`` when they are large."""

        async def work(cursor: Cursor) -> Sequence[tuple[int, Inbound]]:
            await cursor.execute(_OLDEST, (now, limit))
            chosen: list[int] = []
            total = 0
            for row in sorted(await cursor.fetchall(), key=lambda row: row["id"]):
                total += row["size"]
                if chosen and total > TAKE_BYTES:
                    break
                chosen.append(row["id"])
            await cursor.execute(_TAKE, (now + timedelta(seconds=lease), chosen))
            rows = sorted(await cursor.fetchall(), key=lambda row: row["id"])
            return [(row["id"], Inbound(Kind(row["kind"]), row["agent_id"], row["body"])) for row in rows]

        return await self._database.transaction(work)

    async def remove_inbound(self, ids: Sequence[int]) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM relay_inbound WHERE id = ANY(%s::bigint[])", (list(ids),))

        await self._database.transaction(work)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM relay_messages WHERE agent_id = ANY(%s)", (list(agents),))

        await self._database.transaction(work)


def _chunks(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    chunk: list[Outgoing] = []
    size = 0
    for one in messages:
        if chunk and size + len(one.body) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += len(one.body)
    yield chunk
