"""The queue behind the https relay: messages to agents, and what agents sent. Rows are leased, then removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.envelope import MAX_RESULT_BYTES
from mig_core.domain.messages import Backlog, Kind
from mig_core.errors import NoRoom
from mig_core.store import relay_inbound
from mig_core.store.coalescing import Coalescing
from mig_core.store.encoding import clean_text, joined
from mig_core.store.notify import PREFIX, notify
from mig_core.store.relay_tails import RelayTails

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Claimed, Exchange, Inbound, Outgoing, Piece
    from mig_core.store.database import Cursor, Database

GROUP_BYTES = 4 << 20
"""Messages that arrive at the same moment share a transaction up to this size. Larger ones cost more than they save:
libpq moves all that is still unsent whenever a part of it has left."""
_PUT = "COPY relay_messages (agent_id, body, expires) FROM STDIN (FORMAT BINARY)"
# Ids, sessions and kinds have no commas: as one text they cost less to write and to read than as arrays.
_PUT_INBOUND = f"""
    WITH done AS (
        DELETE FROM relay_messages m
         USING unnest(string_to_array(%s, ',')::bigint[], string_to_array(%s, ',')) AS done(id, agent_id)
         WHERE m.id = done.id AND m.agent_id = done.agent_id
    ), put AS (
        INSERT INTO relay_inbound (agent_id, kind, body)
        SELECT * FROM unnest(string_to_array(%s, ','), string_to_array(%s, ','), %b::bytea[])
                   AS sent(agent_id, kind, body)
    )
    SELECT pg_notify('{PREFIX}inbound', '')
"""  # noqa: S608 - a constant
_CLAIM = """
    WITH poll AS (
        SELECT t.*, %(now)s::timestamptz AS now, %(until)s::timestamptz AS until
          FROM unnest(string_to_array(%(agents)s, ','), string_to_array(%(sessions)s, ','),
                      string_to_array(%(limits)s, ',')::integer[]) AS t(agent_id, session, length)
    ), claimed AS (
        SELECT oldest.id, poll.agent_id, poll.session, poll.until
          FROM poll CROSS JOIN LATERAL (
               SELECT m.id FROM relay_messages m
                WHERE m.agent_id = poll.agent_id AND m.expires > poll.now
                  AND (m.leased_until IS NULL OR m.leased_until <= poll.now OR m.session IS DISTINCT FROM poll.session)
                ORDER BY m.id LIMIT poll.length FOR NO KEY UPDATE SKIP LOCKED) AS oldest
    )
    UPDATE relay_messages m SET session = claimed.session, leased_until = claimed.until
      FROM claimed WHERE m.agent_id = claimed.agent_id AND m.id = claimed.id
    RETURNING m.id, m.body, m.tail, m.agent_id, m.session
"""
_FOUND = """
    SELECT found.id, found.body, found.tail, poll.agent_id
      FROM unnest(string_to_array(%s, ','), string_to_array(%s, ','), string_to_array(%s, ',')::integer[])
           AS poll(agent_id, session, length)
     CROSS JOIN LATERAL (
           SELECT m.id, m.body, m.tail FROM relay_messages m
            WHERE m.agent_id = poll.agent_id AND m.expires > %s
              AND (m.leased_until IS NULL OR m.leased_until <= %s OR m.session IS DISTINCT FROM poll.session)
            ORDER BY m.id LIMIT poll.length) AS found
"""
_MAY_RECEIVE = """
    SELECT poll.agent_id, poll.session, mig_relay_session(poll.agent_id, poll.session, %s) AS answer
      FROM unnest(string_to_array(%s, ','), string_to_array(%s, ',')) AS poll(agent_id, session)
      LEFT JOIN relay_sessions known ON known.agent_id = poll.agent_id
     WHERE known.session IS DISTINCT FROM poll.session OR known.rival IS NOT NULL
     ORDER BY poll.agent_id
"""
_ACKNOWLEDGE = """
    DELETE FROM relay_messages m
     USING unnest(string_to_array(%s, ',')::bigint[], string_to_array(%s, ',')) AS done(id, agent_id)
     WHERE m.id = done.id AND m.agent_id = done.agent_id
"""
_PUT_PIECE = """
    INSERT INTO relay_pieces (agent_id, upload, piece, body, received_at) VALUES (%s, %s, %s, %b, %s)
        ON CONFLICT (agent_id, upload, piece) DO UPDATE SET received_at = excluded.received_at
"""
_UPLOADS = """
    SELECT upload, count(*) AS pieces, sum(octet_length(body)) AS size FROM relay_pieces WHERE agent_id = %s
     GROUP BY upload ORDER BY max(received_at) DESC, upload
"""
_COMPLETE = """
    WITH whole AS (DELETE FROM relay_pieces WHERE agent_id = %(agent)s AND upload = %(upload)s RETURNING piece, body)
    INSERT INTO relay_inbound (agent_id, kind, body, encoding)
    SELECT %(agent)s, %(kind)s, string_agg(body, ''::bytea ORDER BY piece), %(encoding)s FROM whole
"""
_DROP_UPLOADS = "DELETE FROM relay_pieces WHERE agent_id = %s AND upload = ANY(%s)"
_DROP_PIECES = """
    DELETE FROM relay_pieces WHERE (agent_id, upload) IN (
        SELECT agent_id, upload FROM relay_pieces GROUP BY agent_id, upload HAVING max(received_at) < %s)
"""
# octet_length reads a value's head only, however large it is.
_BACKLOG = """
    SELECT agent_id, sum(size) AS size FROM (
        SELECT agent_id, octet_length(body) AS size FROM relay_inbound
        UNION ALL SELECT agent_id, octet_length(body) FROM relay_pieces) AS waiting
     GROUP BY GROUPING SETS ((agent_id), ()) ORDER BY size DESC NULLS LAST LIMIT 1000
"""
MOST_UPLOADS = 2
"""Unfinished uploads of one agent."""


@dataclass(frozen=True, slots=True)
class _Poll:
    agent: str
    session: str
    limit: int
    now: datetime
    until: datetime


class PostgresRelayQueue:
    """:class:`mig_core.relay.base.RelayQueue` in PostgreSQL."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._number = number
        self._tails = RelayTails()
        self._inbound = Coalescing(
            self._store_inbound, limit=200, weigh=lambda message: len(message[2]), most=GROUP_BYTES
        )
        self._sessions = Coalescing(self._may_receive, limit=200)
        self._claims = Coalescing(self._claim, limit=200)
        self._acknowledgements = Coalescing(self._acknowledge, limit=500)

    async def put_commands(self, messages: Sequence[Outgoing]) -> None:
        """See the protocol."""
        if not messages:
            return

        async def work(cursor: Cursor) -> None:
            async with cursor.copy(_PUT) as copy:
                copy.set_types(["text", "bytea", "timestamptz"])
                for one in messages:
                    await copy.write_row((one.agent, one.body, one.expires))
            await notify(cursor, "relay", {one.agent for one in messages})

        await self._database.transaction(work)

    async def may_receive(self, agent: AgentId, session: str, *, now: datetime) -> bool:
        """See the protocol."""
        return await self._sessions.add((clean_text(agent), clean_text(session), now))

    async def claim(
        self, agent: AgentId, session: str, *, limit: int, lease: float, now: datetime
    ) -> Sequence[Claimed]:
        """See the protocol."""
        poll = _Poll(clean_text(agent), clean_text(session), limit, now, now + timedelta(seconds=lease))
        return await self._claims.add(poll)

    async def acknowledge(self, agent: AgentId, ids: Sequence[int]) -> None:
        """See the protocol."""
        possible = [one for one in ids if 0 < one < 1 << 63]
        if possible:
            await self._acknowledgements.add((clean_text(agent), possible))

    async def exchange(self, exchanges: Sequence[Exchange], *, now: datetime) -> Sequence[Sequence[Claimed] | None]:
        """See the protocol."""
        inbound = [(one.agent, kind.value, body) for one in exchanges for kind, body in one.messages]
        done = [(number, one.agent) for one in exchanges for number in one.acknowledged if 0 < number < 1 << 63]
        checks = [(one.agent, one.session) for one in exchanges if one.check]
        polls = [one for one in exchanges if one.limit]

        async def work(cursor: Cursor) -> tuple[set[tuple[str, str]], dict[str, list[Claimed]]]:
            if inbound:
                await _insert_inbound(cursor, inbound, done)
            elif done:
                await cursor.execute(_ACKNOWLEDGE, _columns(done))
            refused = await _refused(cursor, checks, now) if checks else set()
            return refused, await self._found(cursor, polls, now) if polls else {}

        # One statement that writes needs no transaction around it; what is handed in twice does no harm.
        alone = bool(inbound or done) + bool(checks) <= 1
        run = self._database.statement if alone else self._database.transaction
        refused, found = await run(work)
        return [
            None if one.check and (one.agent, one.session) in refused else _given(found.get(one.agent, ()), one)
            for one in exchanges
        ]

    async def put_inbound(self, agent: AgentId, kind: Kind, body: bytes) -> None:
        """See the protocol."""

        await self._inbound.add((clean_text(agent), kind.value, body))

    async def take_inbound(
        self, *, limit: int, lease: float, now: datetime, recorded: Sequence[int] = ()
    ) -> Sequence[tuple[int, Inbound]]:
        """See the protocol. Fewer than ``limit`` when they are large."""
        return await relay_inbound.take(
            self._database, self._number, limit=limit, lease=lease, now=now, recorded=recorded
        )

    async def put_piece(self, agent: AgentId, piece: Piece, now: datetime) -> bool:
        """See the protocol."""
        name = clean_text(agent)

        async def work(cursor: Cursor) -> bool:
            await cursor.execute(_PUT_PIECE, (name, piece.upload, piece.number, piece.body, now))
            await cursor.execute(_UPLOADS, (name,))
            uploads = await cursor.fetchall()
            this = next(row for row in uploads if row["upload"] == piece.upload)
            if this["size"] > MAX_RESULT_BYTES:
                raise NoRoom(f"this upload is larger than {MAX_RESULT_BYTES} bytes")
            others = [row["upload"] for row in uploads if row["upload"] != piece.upload]
            if surplus := others[MOST_UPLOADS - 1 :]:
                await cursor.execute(_DROP_UPLOADS, (name, surplus))
            if this["pieces"] < piece.count:
                return False
            await cursor.execute(
                _COMPLETE,
                {"agent": name, "upload": piece.upload, "kind": Kind.RESULT.value, "encoding": relay_inbound.ZLIB},
            )
            await notify(cursor, "inbound")
            return True

        return await self._database.transaction(work)

    async def drop_pieces(self, *, before: datetime) -> int:
        """See the protocol."""

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_DROP_PIECES, (before,))
            return cursor.rowcount

        return await self._database.transaction(work)

    async def backlog(self) -> Backlog:
        """See the protocol."""

        async def work(cursor: Cursor) -> Backlog:
            await cursor.execute(_BACKLOG)
            sizes = {row["agent_id"]: int(row["size"] or 0) for row in await cursor.fetchall()}
            return Backlog(sizes.pop(None, 0), sizes)

        return await self._database.transaction(work)

    async def remove_inbound(self, ids: Sequence[int]) -> None:
        """See the protocol."""
        await relay_inbound.remove(self._database, ids)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM relay_messages WHERE agent_id = ANY(%s)", (list(agents),))
            await cursor.execute("DELETE FROM relay_sessions WHERE agent_id = ANY(%s)", (list(agents),))

        await self._database.transaction(work)

    async def _store_inbound(self, messages: Sequence[tuple[str, str, bytes]]) -> Sequence[None]:
        await self._database.transaction(lambda cursor: _insert_inbound(cursor, messages))
        return [None] * len(messages)

    async def _may_receive(self, polls: Sequence[tuple[str, str, datetime]]) -> Sequence[bool]:
        pairs = [(agent, session) for agent, session, _ in polls]
        refused = await self._database.transaction(lambda cursor: _refused(cursor, pairs, polls[-1][2]))
        return [pair not in refused for pair in pairs]

    async def _claim(self, polls: Sequence[_Poll]) -> Sequence[Sequence[Claimed]]:
        claimed = await self._database.transaction(lambda cursor: self._claimed(cursor, polls))
        # Each message to one poll: the first of its session.
        return [claimed.pop((one.agent, one.session), []) for one in polls]

    async def _found(self, cursor: Cursor, polls: Sequence[Exchange], now: datetime) -> dict[str, list[Claimed]]:
        """The oldest messages for each agent, those that it holds among them."""
        agents, sessions = joined([one.agent for one in polls]), joined([one.session for one in polls])
        await cursor.execute(_FOUND, (agents, sessions, joined([one.limit + len(one.held) for one in polls]), now, now))
        found: dict[str, list[Claimed]] = {}
        for row, message in await self._tails.whole(cursor, await cursor.fetchall()):
            found.setdefault(row["agent_id"], []).append(message)
        return found

    async def _claimed(self, cursor: Cursor, polls: Sequence[_Poll]) -> dict[tuple[str, str], list[Claimed]]:
        parameters = {
            "agents": joined([one.agent for one in polls]),
            "sessions": joined([one.session for one in polls]),
            "limits": joined([one.limit for one in polls]),
            "now": polls[-1].now,  # they came together
            "until": polls[-1].until,
        }
        await cursor.execute(_CLAIM, parameters)
        claimed: dict[tuple[str, str], list[Claimed]] = {}
        rows = sorted(await cursor.fetchall(), key=lambda row: row["id"])
        for row, message in await self._tails.whole(cursor, rows):
            claimed.setdefault((row["agent_id"], row["session"]), []).append(message)
        return claimed

    async def _acknowledge(self, acknowledgements: Sequence[tuple[str, Sequence[int]]]) -> Sequence[None]:
        pairs = [(number, agent) for agent, numbers in acknowledgements for number in numbers]

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_ACKNOWLEDGE, _columns(pairs))

        await self._database.transaction(work)
        return [None] * len(acknowledgements)


async def _insert_inbound(
    cursor: Cursor, messages: Sequence[tuple[str, str, bytes]], done: Sequence[tuple[int, str]] = ()
) -> None:
    """Puts messages, and removes those that were acknowledged with them."""
    agents, kinds, bodies = zip(*messages, strict=True)
    await cursor.execute(_PUT_INBOUND, (*_columns(done), joined(agents), joined(kinds), list(bodies)))


def _columns(done: Sequence[tuple[int, str]]) -> list[str]:
    return [joined([number for number, _ in done]), joined([agent for _, agent in done])]


async def _refused(cursor: Cursor, polls: Sequence[tuple[str, str]], now: datetime) -> set[tuple[str, str]]:
    """Agents and sessions that are not the ones to receive."""
    await cursor.execute(_MAY_RECEIVE, (now, *(joined(column) for column in zip(*polls, strict=True))))
    return {(row["agent_id"], row["session"]) for row in await cursor.fetchall() if not row["answer"]}


def _given(found: Sequence[Claimed], poll: Exchange) -> Sequence[Claimed]:
    if not found or not poll.limit:
        return ()
    held = frozenset(poll.held)
    new = {one.id: one for one in found if one.id not in held}  # two polls of one agent find everything twice
    return [new[number] for number in sorted(new)[: poll.limit]]
