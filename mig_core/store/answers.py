"""Recording what agents answered: many answers, one transaction, every one of them accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.store.books import LOCK_ACTIONS
from mig_core.store.encoding import as_uuids, clean_text, jsonb
from mig_core.store.notify import notify
from mig_core.store.rows import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mig_core.domain.ids import CommandId
    from mig_core.domain.result import Answer
    from mig_core.store.database import Cursor, Database

CHUNK_BYTES = 32 << 20
"""About how much JSON goes to the server in one statement."""

_RECORD = """
    WITH answer AS (
        SELECT * FROM unnest(%(id)s::uuid[], %(action)s::uuid[], %(agent)s::text[], %(state)s::text[],
                             %(reason)s::text[], %(found)s::boolean[], %(complete)s::boolean[], %(results)s::text[],
                             %(size)s::integer[])
            WITH ORDINALITY AS t(id, action_id, agent_id, state, reason, found, complete, results, size, number)
    ), open AS (
        SELECT c.id, a.closed + row_number() OVER (PARTITION BY c.action_id ORDER BY answer.number) AS position
          FROM answer JOIN commands c ON c.id = answer.id AND c.action_id = answer.action_id
                                     AND c.agent_id = answer.agent_id
          JOIN actions a ON a.id = c.action_id
         WHERE c.state IN ('queued', 'sent')
    ), closed AS (
        UPDATE commands c
           SET state = answer.state, reason = answer.reason, found = answer.found, complete = answer.complete,
               results = answer.results::jsonb, results_size = answer.size, finished_at = %(now)s,
               sent_at = coalesce(c.sent_at, %(now)s), position = open.position
          FROM open JOIN answer USING (id) WHERE c.id = open.id AND c.state IN ('queued', 'sent')
        RETURNING c.id, c.action_id, c.position
    ), last AS (
        SELECT action_id, max(position) AS position FROM closed GROUP BY action_id
    ), counted AS (
        UPDATE actions a SET closed = last.position FROM last WHERE a.id = last.action_id
    )
    SELECT id, action_id FROM closed
"""
_FATE = "SELECT id, action_id, agent_id, results IS NULL AS unanswered FROM commands WHERE id = ANY(%s)"


async def record_answers(database: Database, answers: Sequence[Answer], now: datetime) -> Sequence[Recording]:
    """See :meth:`mig_core.store.base.Commands.record`."""
    first: dict[CommandId, Answer] = {}
    for one in answers:
        first.setdefault(one.command, one)
    chunks = list(_chunks(list(first.values())))

    async def work(cursor: Cursor) -> tuple[set[str], dict[str, Recording]]:
        await cursor.execute(LOCK_ACTIONS, (as_uuids(sorted({one.action for one in first.values()})),))
        recorded: set[str] = set()
        actions: set[str] = set()
        for chunk in chunks:
            await cursor.execute(_RECORD, chunk | {"now": now})
            for row in await cursor.fetchall():
                recorded.add(str(row["id"]))
                actions.add(str(row["action_id"]))
        await notify(cursor, "action", actions)
        others = [one for one in first.values() if one.command not in recorded]
        return recorded, await _fates(cursor, others) if others else {}

    recorded, fates = await database.transaction(work)
    outcome = []
    for one in answers:
        if one.command in recorded:
            # Of several answers to one command in one batch the first was recorded.
            outcome.append(Recording.RECORDED if first[one.command] is one else Recording.DUPLICATE)
        else:
            outcome.append(fates.get(one.command, Recording.FOREIGN))
    return outcome


async def _fates(cursor: Cursor, answers: Sequence[Answer]) -> dict[str, Recording]:
    await cursor.execute(_FATE, (as_uuids(one.command for one in answers),))
    rows = {str(row["id"]): row for row in await cursor.fetchall()}
    fates: dict[str, Recording] = {}
    for one in answers:
        row = rows.get(one.command)
        if row is None or str(row["action_id"]) != one.action or row["agent_id"] != one.agent:
            fates[one.command] = Recording.FOREIGN
        else:
            fates[one.command] = Recording.LATE if row["unanswered"] else Recording.DUPLICATE
    return fates


def _chunks(answers: Sequence[Answer]) -> Iterator[dict[str, object]]:
    """The answers as arrays, one a column, in portions the server takes easily."""
    columns = _empty()
    size = 0
    for one in answers:
        results = jsonb([result.to_json() for result in one.results])
        bytes_needed = len(results.encode("utf-8"))
        if columns["id"] and size + bytes_needed > CHUNK_BYTES:
            yield dict(columns)
            columns, size = _empty(), 0
        size += bytes_needed
        row: dict[str, object] = {
            "id": one.command,
            "action": one.action,
            "agent": one.agent,
            "state": one.state.value,
            "reason": clean_text(one.reason),
            "found": one.found,
            "complete": one.complete,
            "results": results,
            "size": bytes_needed,
        }
        for name, value in row.items():
            columns[name].append(value)
    if columns["id"]:
        yield dict(columns)


def _empty() -> dict[str, list[object]]:
    names = ("id", "action", "agent", "state", "reason", "found", "complete", "results", "size")
    return {name: [] for name in names}
