"""Recording what agents answered: many answers, one transaction, every one of them accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mig_core.domain.command import CommandState
from mig_core.store.books import LOCK_ACTIONS, settle_actions
from mig_core.store.encoding import as_uuids, clean_text, joined, jsonb
from mig_core.store.notify import KEYS_A_PAYLOAD, PREFIX, SEPARATOR
from mig_core.store.rows import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.ids import CommandId
    from mig_core.domain.result import Answer
    from mig_core.store.database import Cursor, Database, Row

# The ids are given twice: once to be joined, and once so that the plan knows how few rows it touches, and of which
# partition. Without the latter it was ten times slower. What has no commas travels as one text: that costs less to
# write and to read than an array.
_RECORD = """
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(%(commands)b::uuid[], string_to_array(%(actions)s, ',')::uuid[],
                             string_to_array(%(agents)s, ','), string_to_array(%(states)s, ','), %(reasons)b::text[],
                             string_to_array(%(found)s, ',')::boolean[], string_to_array(%(complete)s, ',')::boolean[],
                             %(results)b::text[], string_to_array(%(sizes)s, ',')::integer[], %(documents)b::bytea[],
                             %(signatures)b::bytea[], string_to_array(%(positions)s, ',')::bigint[],
                             string_to_array(%(sent)s, ',', '')::timestamptz[])
            AS t(id, action_id, agent_id, state, reason, found, complete, results, size, document, signature, position,
                 sent_at)
    )
    UPDATE commands c
       SET state = given.state, reason = given.reason, found = given.found, complete = given.complete,
           results = given.results::jsonb, results_size = given.size, finished_at = %(now)s,
           signed_answer = given.document, signature = given.signature,
           sent_at = coalesce(c.sent_at, given.sent_at, %(now)s), position = given.position
      FROM given
     WHERE c.id = ANY(%(commands)b::uuid[]) AND c.id = given.id AND c.action_id = given.action_id
       AND c.agent_id = given.agent_id AND c.state IN ('queued', 'sent')
    RETURNING c.id::text, c.action_id::text, c.state, c.found, c.complete
"""
# What is closed is to be handed over no more, and followers are woken, in the same statement.
_CLOSED = f"""
    WITH forgotten AS (
        DELETE FROM unsent_commands WHERE id = ANY(string_to_array(%s, ',')::uuid[])
    ), changed AS (
        UPDATE actions a
           SET closed = new.closed, final_counts = new.counts::jsonb, final_found = new.found,
               final_partial = new.partial
          FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::integer[], %s::integer[])
               AS new(id, closed, counts, found, partial)
         WHERE a.id = new.id RETURNING a.id
    )
    SELECT pg_notify('{PREFIX}action', string_agg(id::text, '{SEPARATOR}'))
      FROM (SELECT id, row_number() OVER () / {KEYS_A_PAYLOAD} AS part FROM changed) AS parts GROUP BY part
"""  # noqa: S608 - constants
_AT_ONCE = 4 << 20
"""Bytes of answers in one statement; one answer always is one. What goes in is several times in memory there."""
_FATE = """
    SELECT id, action_id, agent_id, results IS NULL AS unanswered, state IN ('queued', 'sent') AS open
      FROM commands WHERE id = ANY(%s)
"""


async def record_answers(
    database: Database,
    answers: Sequence[Answer],
    now: datetime,
    *,
    settle: bool,
    sent: Mapping[CommandId, datetime],
) -> Sequence[Recording]:
    """See :meth:`mig_core.store.base.Commands.record`."""
    first: dict[CommandId, Answer] = {}
    for one in answers:
        first.setdefault(one.command, one)
    # By id, one order for all, against deadlocks with who marks commands as sent.
    stored = [_stored(first[one], sent.get(one)) for one in sorted(first)]

    async def work(cursor: Cursor) -> tuple[set[str], dict[str, Recording]]:
        recorded = await _record(cursor, stored, now, settle=settle)
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


async def _record(cursor: Cursor, answers: Sequence[_Stored], now: datetime, *, settle: bool) -> set[str]:
    """Closes those commands that are open; returns their ids."""
    wanted = as_uuids({one.action for one in answers})
    await cursor.execute(LOCK_ACTIONS, (wanted,))
    # Under the lock the numbers from here on are ours; some stay unused, which disturbs nobody.
    actions = {str(row["id"]): row for row in await cursor.fetchall()}
    known = [one for one in answers if one.action in actions]
    positions = []
    for one in known:
        actions[one.action]["closed"] += 1
        positions.append(actions[one.action]["closed"])
    closed: list[Row] = []
    for some in _pieces(known):
        await cursor.execute(_RECORD, _columns(known[some], positions[some]) | {"now": now})
        closed += await cursor.fetchall()
    if closed:
        whole = await _carry_on_sums(cursor, actions, closed)
        if settle and whole:
            await settle_actions(cursor, now, only=whole)
    return {row["id"] for row in closed}


async def _carry_on_sums(cursor: Cursor, actions: dict[str, Row], closed: Sequence[Row]) -> list[UUID]:
    """Counts what was closed into the actions' rows, which are locked; returns those of which nothing is open."""
    changed = {name: actions[name] for name in {row["action_id"] for row in closed}}
    counts = {name: Counter(row["final_counts"] or {}) for name, row in changed.items()}
    for row in closed:
        name = row["action_id"]
        counts[name][row["state"]] += 1
        changed[name]["final_found"] = (changed[name]["final_found"] or 0) + bool(row["found"])
        partial = row["state"] == CommandState.SUCCESS and row["complete"] is False
        changed[name]["final_partial"] = (changed[name]["final_partial"] or 0) + partial
    names = sorted(changed)
    await cursor.execute(
        _CLOSED,
        (
            joined(row["id"] for row in closed),
            [changed[one]["id"] for one in names],
            [changed[one]["closed"] for one in names],
            [jsonb(counts[one]) for one in names],
            [changed[one]["final_found"] for one in names],
            [changed[one]["final_partial"] for one in names],
        ),
    )
    return [changed[one]["id"] for one in names if counts[one].total() >= changed[one]["targeted"]]


def _pieces(answers: Sequence[_Stored]) -> Iterator[slice]:
    """Slices that are not too large for one statement."""
    start = size = 0
    for index, one in enumerate(answers):
        if index > start and size + one.size > _AT_ONCE:
            yield slice(start, index)
            start, size = index, 0
        size += one.size
    if answers:
        yield slice(start, len(answers))


def _columns(answers: Sequence[_Stored], positions: Sequence[int]) -> dict[str, object]:
    return {
        "commands": [one.command for one in answers],
        "actions": joined(one.action for one in answers),
        "agents": joined(one.agent for one in answers),
        "states": joined(one.state for one in answers),
        "reasons": [one.reason for one in answers],
        "found": joined(one.found for one in answers),
        "complete": joined(one.complete for one in answers),
        "results": [one.results for one in answers],
        "sizes": joined(one.size for one in answers),
        "documents": [one.document for one in answers],
        "signatures": [one.signature for one in answers],
        "positions": joined(positions),
        "sent": joined(one.sent for one in answers),
    }


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


@dataclass(frozen=True, slots=True)
class _Stored:
    """An answer as the table has it."""

    command: UUID
    action: str
    agent: str
    state: str
    reason: str
    found: bool
    complete: bool
    results: str
    size: int
    document: bytes | None
    signature: bytes | None
    sent: str
    """Since when the relay had the command; empty: its row says so, or nobody knows."""


def _stored(answer: Answer, sent: datetime | None) -> _Stored:
    results = jsonb([one.to_json() for one in answer.results])
    return _Stored(
        command=UUID(answer.command),
        action=answer.action,
        agent=answer.agent,
        state=answer.state.value,
        reason=clean_text(answer.reason),
        found=answer.found,
        complete=answer.complete,
        results=results,
        size=len(results) if results.isascii() else len(results.encode("utf-8")),
        document=None if answer.proof is None else answer.proof.document,
        signature=None if answer.proof is None else answer.proof.signature,
        sent="" if sent is None else sent.isoformat(),
    )
