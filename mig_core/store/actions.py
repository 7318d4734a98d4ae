"""Actions: created, signed, listed, fanned out, cancelled, ended, forgotten."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.command import ActionState
from mig_core.domain.ids import ActionId, check_uuid
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import Conflict, InvalidDocument
from mig_core.store.action_rows import COLUMNS, action_row, action_rows, locked_action, one_action, summed_action
from mig_core.store.books import close_commands, settle_actions, withdraw
from mig_core.store.database import page_limit
from mig_core.store.encoding import NEWEST, as_uuid, clean_text, read_cursor, write_cursor
from mig_core.store.fanout import fan_out
from mig_core.store.notify import notify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.action import Action
    from mig_core.domain.ids import Fingerprint
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database
    from mig_core.store.rows import ActionRow, AtOnce, Claim, FannedOut

_INSERT = f"""
    INSERT INTO actions (id, name, target, envelope, state, valid_from, expire_after, created_at, created_by, signers)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING RETURNING {COLUMNS}
"""  # noqa: S608 - a constant
_LIST = f"""
    SELECT {COLUMNS} FROM actions
     WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
       AND (%(name)s = '' OR strpos(lower(name), lower(%(name)s)) > 0)
       AND (%(creator)s::text IS NULL OR created_by = %(creator)s)
       AND (%(least)s::uuid IS NULL OR id BETWEEN %(least)s AND %(most)s)
       AND (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid)
     ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - constants
_EXPIRE_ACTIONS = """
    UPDATE actions SET state = 'expired', finished_at = %(now)s, final_counts = '{}', final_found = 0,
           final_partial = 0, reason = CASE WHEN state = 'pending' THEN 'the window ended before enough had signed'
                                       ELSE 'the window ended before a scheduler was there' END
     WHERE state IN ('pending', 'scheduled') AND expire_after < %(now)s RETURNING id
"""
_ABANDON = """
    UPDATE actions SET state = 'completed', reason = %s, finished_at = %s, final_counts = '{}', final_found = 0,
           final_partial = 0
     WHERE id = %s AND state = 'scheduled'
"""
_TAKE_BACK = """
    DELETE FROM unsent_commands u USING actions a
     WHERE a.id = %s AND u.action_id = a.id AND u.id BETWEEN a.first_command AND a.last_command
       AND u.leased_until IS NULL AND u.again_at IS NULL
"""
_OVERDUE = """
    SELECT c.id FROM actions a
      JOIN commands c ON c.action_id = a.id AND c.id BETWEEN a.first_command AND a.last_command AND c.position IS NULL
     WHERE a.state = 'inflight' AND a.expire_after < %s LIMIT 20000
"""
# Whoever closes a command removes its row; this is for what a program of another release left.
_FORGET_UNSENT = """
    DELETE FROM unsent_commands u
     WHERE NOT EXISTS (SELECT FROM actions a WHERE a.id = u.action_id AND a.state = 'inflight')
"""
_FORGET = """
    DELETE FROM actions WHERE id IN (SELECT id FROM actions WHERE finished_at < %s ORDER BY finished_at LIMIT 20)
"""


PARTITION_AHEAD = timedelta(days=7)
"""Partitions of commands are made so long before they are needed."""

log = logging.getLogger(__name__)


class PostgresActions:
    """:class:`mig_core.store.base.Actions` in PostgreSQL."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._number = number

    async def create(
        self, action: Action, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState, now: datetime
    ) -> ActionRow:
        """See the protocol."""
        values = (
            action.id,
            clean_text(action.name),
            clean_text(action.target),
            envelope,
            state.value,
            action.valid_from,
            action.expire_after,
            now,
            signers[0],
            list(signers),
        )

        async def work(cursor: Cursor) -> ActionRow:
            await cursor.execute(_INSERT, values)
            row = await cursor.fetchone()
            if row is None:
                raise Conflict(f"action {action.id} exists already")
            await notify(cursor, "action", [action.id])
            return await action_row(cursor, row)

        return await self._database.transaction(work)

    async def sign(
        self, action: ActionId, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState
    ) -> ActionRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> ActionRow:
            row = await locked_action(cursor, action)
            if row["state"] != ActionState.PENDING:
                raise Conflict(f"action {action} is {row['state']}: it takes no further signature")
            # An envelope with fewer signers than the stored one was made before somebody else's was added.
            if not set(row["signers"]) < set(signers):
                raise Conflict(f"somebody else signed action {action} meanwhile", next_step="look at it and sign again")
            await cursor.execute(
                "UPDATE actions SET envelope = %s, signers = %s, state = %s WHERE id = %s",
                (envelope, list(signers), state.value, row["id"]),
            )
            await notify(cursor, "action", [action])
            return await action_row(cursor, await one_action(cursor, action))

        return await self._database.transaction(work)

    async def get(self, action: ActionId) -> ActionRow:
        """See the protocol."""

        return await self._database.statement(lambda cursor: summed_action(cursor, action))

    async def list(
        self,
        *,
        states: Sequence[ActionState] = (),
        name: str = "",
        created_by: Fingerprint | None = None,
        prefix: str = "",
        cursor: str = "",
        limit: int = 50,
    ) -> tuple[Sequence[ActionRow], str]:
        """See the protocol."""
        length = page_limit(limit)
        at, identifier = _read_cursor(cursor) if cursor else NEWEST
        parameters = {
            "states": [one.value for one in states] or None,
            "name": clean_text(name),
            "creator": None if created_by is None else clean_text(created_by),
            "least": as_uuid(prefix.ljust(32, "0")) if prefix else None,
            "most": as_uuid(prefix.ljust(32, "f")) if prefix else None,
            "at": at,
            "id": identifier,
            "limit": length,
        }

        async def work(sql_cursor: Cursor) -> tuple[Sequence[ActionRow], str]:
            await sql_cursor.execute(_LIST, parameters)
            rows = await action_rows(sql_cursor, await sql_cursor.fetchall())
            more = len(rows) == length
            return rows, write_cursor(format_time(rows[-1].created_at), rows[-1].id) if more else ""

        return await self._database.snapshot(work)

    async def cancel(self, action: ActionId, envelope: bytes, *, by: Fingerprint, now: datetime) -> ActionRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> ActionRow:
            row = await locked_action(cursor, action)
            if not row["cancelling"]:
                if ActionState(row["state"]).is_final:
                    raise Conflict(f"action {action} has ended: it is {row['state']}")
                await cursor.execute(
                    "UPDATE actions SET cancel_envelope = %s, cancelled_by = %s, cancelled_at = %s WHERE id = %s",
                    (envelope, by, now, row["id"]),
                )
                if row["state"] == ActionState.INFLIGHT:
                    await _cancel_commands(cursor, row["id"], now)
                else:
                    await cursor.execute(
                        "UPDATE actions SET state = 'cancelled', finished_at = %s, reason = 'cancelled before it began'"
                        ", final_counts = '{}', final_found = 0, final_partial = 0 WHERE id = %s",
                        (now, row["id"]),
                    )
                await notify(cursor, "action", [action])
            return await action_row(cursor, await one_action(cursor, action))

        return await self._database.transaction(work)

    async def due(self, *, now: datetime, limit: int = 100) -> Sequence[ActionId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[ActionId]:
            await cursor.execute(
                "SELECT id FROM actions WHERE state = 'scheduled' AND valid_from <= %s AND expire_after > %s"
                " ORDER BY created_at, id LIMIT %s",
                (now, now, limit),
            )
            return [ActionId(str(row["id"])) for row in await cursor.fetchall()]

        return await self._database.statement(work)

    async def fan_out(
        self,
        action: ActionId,
        target: Target,
        *,
        now: datetime,
        at_once: AtOnce | None = None,
        claim: Claim | None = None,
    ) -> FannedOut | None:
        """See the protocol."""
        return await self._database.transaction(
            lambda cursor: fan_out(self._database, cursor, action, target, now, at_once, claim, self._number)
        )

    async def abandon(self, action: ActionId, reason: str, *, now: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_ABANDON, (clean_text(reason)[:2000], now, as_uuid(action)))
            await notify(cursor, "action", [action])

        await self._database.transaction(work)

    async def settle(self, now: datetime) -> Sequence[ActionId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[ActionId]:
            return [ActionId(one) for one in await settle_actions(cursor, now)]

        return await self._database.transaction(work)

    async def expire(self, *, now: datetime, grace: timedelta) -> int:
        """See the protocol. Also drops messages of the https relay that are not worth delivering any more."""

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_OVERDUE, (now - grace,))
            overdue = [row["id"] for row in await cursor.fetchall()]
            changed = await close_commands(cursor, overdue, "expired", "", now, silent=True)
            await cursor.execute(_EXPIRE_ACTIONS, {"now": now})
            actions = [str(row["id"]) for row in await cursor.fetchall()]
            await notify(cursor, "action", actions)
            await cursor.execute(
                "DELETE FROM unsent_cancels WHERE action_id IN (SELECT id FROM actions WHERE expire_after < %s)", (now,)
            )
            await cursor.execute(_FORGET_UNSENT)
            for table in ("relay_messages", "relay_tails"):
                await cursor.execute(f"DELETE FROM {table} WHERE expires < %s", (now,))  # noqa: S608 - constants
            return changed + len(actions)

        return await self._database.transaction(work)

    async def forget(self, *, before: datetime) -> int:
        """See the protocol. In several transactions, so that none of them holds others up for long.

        The commands are not deleted, but dropped with their partition as soon as all of it is older.
        """

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_FORGET, (before,))
            return cursor.rowcount

        async def drop(cursor: Cursor) -> str | None:
            await cursor.execute("SELECT mig_drop_commands(%s) AS name", (before,))
            row = await cursor.fetchone()
            return None if row is None else row["name"]

        total = 0
        while deleted := await self._database.transaction(work):
            total += deleted
        while dropped := await self._database.transaction(drop):
            log.info("the answers in %s are older than what is kept and were dropped", dropped)
        return total

    async def make_room(self, now: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            for moment in (now, now + PARTITION_AHEAD):
                await cursor.execute("SELECT mig_commands_partition(%s)", (moment,))

        await self._database.transaction(work)


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    at, identifier = read_cursor(cursor, parts=2)
    try:
        return parse_time(at), check_uuid(identifier, subject="cursor", path="")
    except ValueError as error:
        raise InvalidDocument("cursor", "was not given out by this list") from error


async def _cancel_commands(cursor: Cursor, action: object, now: datetime) -> None:
    """Cancels what has not left, and queues a cancel for every agent that has the command, or may have it."""
    # Taken away before anything is decided by it: a scheduler that claims some at this moment has them, or has not.
    await cursor.execute(_TAKE_BACK, (action,))
    await cursor.execute(
        "SELECT c.id, c.agent_id, c.state = 'queued' AND u.id IS NULL AS here"
        " FROM commands c LEFT JOIN unsent_commands u ON u.id = c.id WHERE c.action_id = %s AND c.position IS NULL",
        (action,),
    )
    commands = await cursor.fetchall()
    # A lease says that a scheduler is handing the command to the relay at this moment, or has just done so, or that it
    # died meanwhile. It may run already: its agent says how it ends, as of one that is sent.
    reached = [row["agent_id"] for row in commands if not row["here"]]
    await cursor.execute(
        "INSERT INTO unsent_cancels (action_id, agent_id) SELECT %s, unnest(%s::text[])", (action, reached)
    )
    await withdraw(cursor, [row["id"] for row in commands if row["here"]], now)
    if reached:
        await notify(cursor, "outbox")
    else:
        await settle_actions(cursor, now, only=[action])  # type: ignore[list-item]  # a row's values are untyped
