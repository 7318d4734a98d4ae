"""Commands and cancels on their way to the relays: claimed by schedulers, sent, found lost, handed over again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.ids import ActionId, AgentId, CommandId
from mig_core.store.books import FORGET_UNSENT, close_commands, withdraw
from mig_core.store.encoding import as_uuid, as_uuids, clean_text, joined
from mig_core.store.notify import notify
from mig_core.store.rows import Unanswered, Unsent, UnsentCancel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from mig_core.store.database import Cursor, Database, Row

_CLAIM = """
    WITH claimed AS (
        SELECT u.id FROM unsent_commands u JOIN agents g ON g.id = u.agent_id
         WHERE (u.leased_until IS NULL OR u.leased_until <= %(now)s) AND g.relay = ANY(%(relays)s)
         ORDER BY u.id LIMIT %(limit)s FOR NO KEY UPDATE OF u SKIP LOCKED
    )
    UPDATE unsent_commands u SET leased_until = %(until)s, leased_by = %(number)s
      FROM claimed, agents g WHERE u.id = claimed.id AND g.id = u.agent_id
    RETURNING u.id, u.agent_id, g.relay, u.action_id
"""
_ENVELOPES = "SELECT id, envelope, expire_after FROM actions WHERE id = ANY(%s)"
_LOCK = "SELECT FROM commands WHERE id = ANY(%s) AND position IS NULL ORDER BY id FOR NO KEY UPDATE"
_SENT = """
    WITH changed AS (
        UPDATE commands SET state = 'sent', sent_at = %(now)s
         WHERE id = ANY(%(ids)s) AND state = 'queued' RETURNING action_id
    )
    SELECT DISTINCT action_id FROM changed
"""
_MOVED = """
    SELECT u.id FROM unsent_commands u JOIN agents g ON g.id = u.agent_id WHERE u.id = ANY(%s) AND g.relay <> %s
"""
# A lease is known by its end: whoever claims anew, of whatever release, writes another one.
_HELD = "SELECT id FROM unsent_commands WHERE id = ANY(%s) AND leased_until = %s"
_NO_LONGER_HELD = """
    SELECT given.id FROM unnest(string_to_array(%s, ',')::uuid[]) AS given(id)
     WHERE NOT EXISTS (SELECT FROM unsent_commands u WHERE u.id = given.id AND u.leased_until = %s)
"""
_GIVE_BACK = "UPDATE unsent_commands SET leased_until = %s, leased_by = NULL WHERE id = ANY(%s) AND leased_until = %s"
_LOCK_ACTIONS = """
    SELECT FROM actions WHERE id IN (SELECT action_id FROM unsent_commands WHERE id = ANY(%s)) ORDER BY id
       FOR NO KEY UPDATE
"""
_LEAST = "00000000-0000-0000-0000-000000000000"
_UNANSWERED = """
    SELECT c.id, c.agent_id, c.sent_at
      FROM actions a
      JOIN commands c ON c.action_id = a.id AND c.position IS NULL AND c.state = 'sent'
                     AND c.id BETWEEN greatest(a.first_command, %(after)s::uuid) AND a.last_command
      JOIN agents g ON g.id = c.agent_id
     WHERE a.state = 'inflight' AND a.expire_after > %(now)s
       AND c.id > %(after)s::uuid AND g.relay = %(relay)s
     ORDER BY c.id LIMIT %(limit)s
"""
# Their rows are locked, so that none is answered in between and then waits to be handed over for ever.
_AGAIN = """
    WITH open AS (
        SELECT id, action_id, agent_id FROM commands WHERE id = ANY(%s) AND state = 'sent' ORDER BY id
           FOR NO KEY UPDATE
    )
    INSERT INTO unsent_commands (id, action_id, agent_id, again_at)
    SELECT id, action_id, agent_id, %s::timestamptz FROM open
        ON CONFLICT (id) DO NOTHING
"""
_CLAIM_CANCELS = """
    WITH claimed AS (
        SELECT u.action_id, u.agent_id FROM unsent_cancels u JOIN agents g ON g.id = u.agent_id
         WHERE (u.leased_until IS NULL OR u.leased_until <= %(now)s) AND g.relay = ANY(%(relays)s)
         ORDER BY u.action_id, u.agent_id LIMIT %(limit)s FOR NO KEY UPDATE OF u SKIP LOCKED
    )
    UPDATE unsent_cancels u SET leased_until = %(until)s, leased_by = %(number)s
      FROM claimed, actions a, agents g
     WHERE u.action_id = claimed.action_id AND u.agent_id = claimed.agent_id
       AND a.id = u.action_id AND g.id = u.agent_id
    RETURNING u.action_id, u.agent_id, g.relay, a.cancel_envelope, a.expire_after
"""


class PostgresOutbox:
    """The part of :class:`mig_core.store.base.Commands` that schedulers hand over by."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._number = number

    async def claim_unsent(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[Unsent]:
        """See the protocol."""
        parameters = self._claiming(relays, limit, lease, now)

        async def work(cursor: Cursor) -> Sequence[Unsent]:
            await cursor.execute(_CLAIM, parameters)
            rows = sorted(await cursor.fetchall(), key=lambda row: row["id"])
            # Each envelope travels once, not once a command.
            await cursor.execute(_ENVELOPES, (list({row["action_id"] for row in rows}),))
            actions = {row["id"]: row for row in await cursor.fetchall()}
            return [_unsent(row, actions[row["action_id"]]) for row in rows if row["action_id"] in actions]

        return await self._database.transaction(work)

    async def mark_sent(self, commands: Sequence[CommandId], now: datetime, *, relay: str = "") -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            ids = sorted(as_uuids(commands))
            if relay:
                # Whoever moves an agent locks its commands: it has ended before we look, or begins when we have.
                await cursor.execute(_LOCK, (ids,))
                await cursor.execute(_MOVED, (ids, relay))
                moved = {row["id"] for row in await cursor.fetchall()}
                ids = [one for one in ids if one not in moved]
            await cursor.execute(_SENT, {"ids": ids, "now": now})
            changed = [str(row["action_id"]) for row in await cursor.fetchall()]
            await cursor.execute(FORGET_UNSENT, (ids,))
            await notify(cursor, "action", changed)

        await self._database.transaction(work)

    async def unanswered(
        self, relay: str, *, after: CommandId | None, limit: int, now: datetime
    ) -> Sequence[Unanswered]:
        """See the protocol."""
        parameters = {"relay": relay, "after": after or _LEAST, "limit": limit, "now": now}

        async def work(cursor: Cursor) -> Sequence[Unanswered]:
            await cursor.execute(_UNANSWERED, parameters)
            return [
                Unanswered(CommandId(str(row["id"])), AgentId(row["agent_id"]), row["sent_at"])
                for row in await cursor.fetchall()
            ]

        return await self._database.transaction(work)

    async def no_longer_held(self, commands: Sequence[CommandId], lease: datetime) -> frozenset[CommandId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> frozenset[CommandId]:
            await cursor.execute(_NO_LONGER_HELD, (joined(commands), lease))
            return frozenset(CommandId(str(row["id"])) for row in await cursor.fetchall())

        return await self._database.statement(work)

    async def give_back(self, commands: Sequence[CommandId], until: datetime, *, lease: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_GIVE_BACK, (until, sorted(as_uuids(commands)), lease))

        await self._database.transaction(work)

    async def hand_over_again(self, commands: Sequence[CommandId], now: datetime) -> int:
        """See the protocol."""

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_AGAIN, (sorted(as_uuids(commands)), now))
            count = cursor.rowcount
            await notify(cursor, "outbox")
            return count

        return await self._database.transaction(work)

    async def abandon(self, command: CommandId, reason: str, now: datetime, *, lease: datetime) -> None:
        """See the protocol."""
        why = clean_text(reason)[:2000]

        async def work(cursor: Cursor) -> None:
            await close_commands(cursor, await _locked(cursor, [command], lease), "expired", why, now)

        await self._database.transaction(work)

    async def withdraw(self, commands: Sequence[CommandId], now: datetime, *, lease: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await withdraw(cursor, await _locked(cursor, commands, lease), now)

        await self._database.transaction(work)

    async def claim_unsent_cancels(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[UnsentCancel]:
        """See the protocol."""
        parameters = self._claiming(relays, limit, lease, now)

        async def work(cursor: Cursor) -> Sequence[UnsentCancel]:
            await cursor.execute(_CLAIM_CANCELS, parameters)
            return [
                UnsentCancel(
                    action=ActionId(str(row["action_id"])),
                    agent=AgentId(row["agent_id"]),
                    relay=row["relay"],
                    envelope=row["cancel_envelope"],
                    expire_after=row["expire_after"],
                )
                for row in await cursor.fetchall()
            ]

        return await self._database.transaction(work)

    async def mark_cancels_sent(self, cancels: Sequence[tuple[ActionId, AgentId]]) -> None:
        """See the protocol."""
        pairs = [(identifier, agent) for action, agent in cancels if (identifier := as_uuid(action)) is not None]

        async def work(cursor: Cursor) -> None:
            await cursor.execute(
                "DELETE FROM unsent_cancels USING unnest(%s::uuid[], %s::text[]) AS sent(action, agent)"
                " WHERE action_id = sent.action AND agent_id = sent.agent",
                ([action for action, _ in pairs], [agent for _, agent in pairs]),
            )

        await self._database.transaction(work)

    def _claiming(self, relays: Sequence[str], limit: int, lease: timedelta, now: datetime) -> dict[str, object]:
        return {"relays": list(relays), "limit": limit, "until": now + lease, "now": now, "number": self._number}


async def _locked(cursor: Cursor, commands: Sequence[CommandId], lease: datetime) -> list[UUID]:
    """Those that are still leased so, and stay so until the commit; their actions are locked before, as ever."""
    ids = as_uuids(commands)
    await cursor.execute(_LOCK_ACTIONS, (ids,))
    await cursor.execute(f"{_HELD} ORDER BY id FOR NO KEY UPDATE", (ids, lease))
    return [row["id"] for row in await cursor.fetchall()]


def _unsent(row: Row, action: Row) -> Unsent:
    return Unsent(
        id=CommandId(str(row["id"])),
        agent=AgentId(row["agent_id"]),
        relay=row["relay"],
        action=ActionId(str(row["action_id"])),
        envelope=action["envelope"],
        expire_after=action["expire_after"],
    )
