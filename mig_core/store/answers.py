"""Recording what agents answered: many answers, one transaction, every one of them accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.store.books import LOCK_ACTIONS
from mig_core.store.encoding import as_uuids, clean_text, jsonb
from mig_core.store.notify import notify
from mig_core.store.rows import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import CommandId
    from mig_core.domain.result import Answer
    from mig_core.store.database import Cursor, Database, Row

# One statement an answer, sent together (psycopg's executemany is a pipeline): each finds its row by the primary key.
# One statement for all of them, joined to arrays, was ten times slower: its plan cannot know how few rows it touches.
_RECORD = """
    UPDATE commands
       SET state = %(state)s, reason = %(reason)s, found = %(found)s, complete = %(complete)s,
           results = %(results)s::jsonb, results_size = %(size)s, finished_at = %(now)s,
           signed_answer = %(document)s, signature = %(signature)s,
           sent_at = coalesce(sent_at, %(now)s), position = %(position)s
     WHERE id = %(command)s::uuid AND action_id = %(action)s::uuid AND agent_id = %(agent)s
       AND state IN ('queued', 'sent')
    RETURNING id, action_id
"""
_CLOSED = "UPDATE actions SET closed = %s WHERE id = %s::uuid"
_FATE = """
    SELECT id, action_id, agent_id, results IS NULL AS unanswered, state IN ('queued', 'sent') AS open
      FROM commands WHERE id = ANY(%s)
"""


async def record_answers(database: Database, answers: Sequence[Answer], now: datetime) -> Sequence[Recording]:
    """See :meth:`mig_core.store.base.Commands.record`."""
    first: dict[CommandId, Answer] = {}
    for one in answers:
        first.setdefault(one.command, one)
    values = [_values(one, now) for one in first.values()]

    async def work(cursor: Cursor) -> tuple[set[str], dict[str, Recording]]:
        recorded = await _record(cursor, values)
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


async def awaited(database: Database, claims: Sequence[tuple[CommandId | None, str]]) -> Sequence[Recording | None]:
    """See :meth:`mig_core.store.base.Commands.awaited`."""
    wanted = as_uuids(command for command, _ in claims if command is not None)

    async def work(cursor: Cursor) -> dict[str, Row]:
        await cursor.execute(_FATE, (wanted,))
        return {str(row["id"]): row for row in await cursor.fetchall()}

    rows = await database.transaction(work)
    fates: list[Recording | None] = []
    for command, agent in claims:
        row = rows.get(command or "")
        if row is None or row["agent_id"] != agent:
            fates.append(Recording.FOREIGN)
        elif row["open"]:
            fates.append(None)
        else:
            fates.append(Recording.LATE if row["unanswered"] else Recording.DUPLICATE)
    return fates


async def _record(cursor: Cursor, values: Sequence[dict[str, object]]) -> set[str]:
    """Closes those commands that are open; returns their ids."""
    wanted = as_uuids({str(one["action"]) for one in values})
    await cursor.execute(LOCK_ACTIONS, (wanted,))
    # Under the lock the numbers from here on are ours; some stay unused, which disturbs nobody.
    closed = {str(row["id"]): int(row["closed"]) for row in await cursor.fetchall()}
    known = [one for one in values if one["action"] in closed]
    if not known:
        return set()
    for one in known:
        action = str(one["action"])
        closed[action] += 1
        one["position"] = closed[action]
    recorded: set[str] = set()
    actions: set[str] = set()
    await cursor.executemany(_RECORD, known, returning=True)
    while True:
        for row in await cursor.fetchall():
            recorded.add(str(row["id"]))
            actions.add(str(row["action_id"]))
        if not cursor.nextset():
            break
    if actions:
        await cursor.executemany(_CLOSED, [(closed[action], action) for action in sorted(actions)])
        await notify(cursor, "action", actions)
    return recorded


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


def _values(answer: Answer, now: datetime) -> dict[str, object]:
    results = jsonb([one.to_json() for one in answer.results])
    return {
        "command": answer.command,
        "action": answer.action,
        "agent": answer.agent,
        "state": answer.state.value,
        "reason": clean_text(answer.reason),
        "found": answer.found,
        "complete": answer.complete,
        "results": results,
        "size": len(results.encode("utf-8")),
        "document": None if answer.proof is None else answer.proof.document,
        "signature": None if answer.proof is None else answer.proof.signature,
        "now": now,
        "position": 0,
    }
