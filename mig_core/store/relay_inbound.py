"""What agents of the https relay sent, on its way to a scheduler: taken under a lease, removed once it is recorded.

Taking a batch writes one row (``relay_takes``) and touches none of the messages. Schedulers take one after the other,
so that each sees what the others have taken; which messages somebody takes twice all the same does no harm.
"""

from __future__ import annotations

import asyncio
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.envelope import MAX_RESULT_BYTES
from mig_core.domain.messages import Inbound, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.store.database import Cursor, Database, Row

TAKE_BYTES = 8 << 20
"""A batch of inbound messages ends before it is larger than this; one message is always given."""
ZLIB = "zlib"

# Removes what was recorded, and waits for its turn. Whoever has it and does not go on (a process that is stopped) loses
# it with its connection.
_BEGIN = """
    WITH ended AS (DELETE FROM relay_takes WHERE messages <@ %(recorded)s::bigint[]),
         removed AS (DELETE FROM relay_inbound WHERE id = ANY(%(recorded)s::bigint[]))
    SELECT set_config('idle_in_transaction_session_timeout', '5s', true),
           pg_advisory_xact_lock(hashtext('mig_relay_takes'))
"""
_TAKE = """
    WITH ended AS (
        DELETE FROM relay_takes WHERE leased_until <= %(now)s
    ), sized AS (
        SELECT id, CASE encoding WHEN '' THEN octet_length(body) ELSE %(largest)s END AS size FROM relay_inbound
         WHERE id <> ALL (ARRAY(SELECT unnest(messages) FROM relay_takes WHERE leased_until > %(now)s))
         ORDER BY id LIMIT %(limit)s
    ), fitting AS (
        SELECT id FROM (SELECT id, size, sum(size) OVER (ORDER BY id) AS total FROM sized) AS summed
         WHERE total <= %(bytes)s OR total = size
    ), lease AS (
        INSERT INTO relay_takes (messages, leased_until, leased_by)
        SELECT array_agg(id), %(until)s, %(number)s FROM fitting HAVING count(*) > 0
    )
    SELECT m.id, m.kind, m.agent_id, m.body, m.encoding FROM fitting JOIN relay_inbound m USING (id) ORDER BY m.id
"""
_REMOVE = """
    WITH ended AS (DELETE FROM relay_takes WHERE messages <@ %(ids)s::bigint[])
    DELETE FROM relay_inbound WHERE id = ANY(%(ids)s::bigint[])
"""


async def take(
    database: Database, number: int, *, limit: int, lease: float, now: datetime, recorded: Sequence[int]
) -> Sequence[tuple[int, Inbound]]:
    """See :meth:`mig_core.relay.base.RelayQueue.take_inbound`. Fewer than ``limit`` when they are large.

    Args:
        number: under which this scheduler leases.
    """
    parameters: dict[str, object] = {"limit": limit, "bytes": TAKE_BYTES, "largest": MAX_RESULT_BYTES}
    parameters |= {"now": now, "until": now + timedelta(seconds=lease), "number": number}

    async def work(cursor: Cursor) -> Sequence[Row]:
        await cursor.execute(_BEGIN, {"recorded": list(recorded)})
        await cursor.execute(_TAKE, parameters)
        return await cursor.fetchall()

    taken = []
    for row in await database.transaction(work):
        number, body = row["id"], row["body"]
        if row["encoding"] == ZLIB:
            body = await asyncio.to_thread(_inflated, body)
        taken.append((number, Inbound(Kind(row["kind"]), row["agent_id"], body)))
    return taken


async def remove(database: Database, ids: Sequence[int]) -> None:
    """See :meth:`mig_core.relay.base.RelayQueue.remove_inbound`."""

    async def work(cursor: Cursor) -> None:
        await cursor.execute(_REMOVE, {"ids": list(ids)})

    await database.statement(work)


def _inflated(stream: bytes) -> bytes:
    """The message in a zlib stream; empty, which no message is, when it is none or would be larger than one may be."""
    decompressor = zlib.decompressobj()
    try:
        message = decompressor.decompress(stream, MAX_RESULT_BYTES + 1)
    except zlib.error:
        return b""
    return message if decompressor.eof and len(message) <= MAX_RESULT_BYTES else b""
