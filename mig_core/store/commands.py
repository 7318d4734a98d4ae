"""Commands: answered, listed, followed; :mod:`mig_core.store.outbox` hands them out to schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.command import CommandState
from mig_core.domain.ids import ActionId, AgentId, CommandId, check_uuid
from mig_core.domain.proof import Proof
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import InvalidDocument, NotFound
from mig_core.store.answers import awaited, record_answers
from mig_core.store.database import page_limit
from mig_core.store.encoding import NEWEST, as_uuid, clean_text, read_cursor, write_cursor
from mig_core.store.outbox import PostgresOutbox
from mig_core.store.rows import CommandRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.result import Answer
    from mig_core.store.database import Cursor, Row
    from mig_core.store.rows import Recording

MAX_PAGE_BYTES = 48 << 20
"""A page of results ends before it is larger than this; one result is always given, whatever its size."""

_COLUMNS = (
    "c.id, c.action_id, c.agent_id, c.agent_name, c.state, c.reason, c.found, c.complete, c.results, c.queued_at,"
    " c.sent_at, c.finished_at, c.position"
)
_PROOFS = "c.signed_answer, c.signature, (SELECT g.public_key FROM agents g WHERE g.id = c.agent_id) AS public_key"
_NO_PROOFS = "NULL::bytea AS signed_answer, NULL::bytea AS signature, NULL::bytea AS public_key"
# The page's rows are chosen with their sizes first, and read (results and all) only as far as they fit.
# The action is looked up: of an id that it is given PostgreSQL believes, until its statistics know it, that it has no
# rows, and then sorts all rows of a young action for each page instead of reading a page of them from an index.
_LIST = """
    WITH page AS (
        SELECT id, agent_name, agent_id, results_size FROM commands
         WHERE action_id = (SELECT id FROM actions WHERE id = %(action)s)
           AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
           AND (%(found)s::boolean IS NULL OR found = %(found)s)
           AND (agent_name, agent_id) > (%(name)s, %(agent)s){narrowing}
         ORDER BY agent_name, agent_id LIMIT %(limit)s
    ), fitting AS (
        SELECT id, sum(results_size::bigint) OVER (ORDER BY agent_name, agent_id) AS bytes, results_size FROM page
    )
    SELECT {columns}, (SELECT count(*) FROM page) AS found_rows FROM fitting JOIN commands c USING (id)
     WHERE bytes <= %(bytes)s OR bytes = fitting.results_size ORDER BY c.agent_name, c.agent_id
"""
# What an index exists for, said in its words: with parameters alone PostgreSQL could not know.
_STILL_OPEN = " AND position IS NULL"
_NOTABLE = " AND (found OR (position IS NOT NULL AND state <> 'success'))"
_PASSED_ON = (
    _COLUMNS.replace("c.id,", "c.id::text,")
    .replace("c.action_id,", "c.action_id::text,")
    .replace("c.results,", "NULL AS results, c.results::text AS results_text,")
)
_SINCE = f"""
    WITH page AS (
        SELECT id, position, results_size FROM commands
         WHERE action_id = (SELECT id FROM actions WHERE id = %(action)s)
           AND position > %(position)s ORDER BY position LIMIT %(limit)s
    ), fitting AS (
        SELECT id, sum(results_size::bigint) OVER (ORDER BY position) AS bytes, results_size FROM page
    )
    SELECT {_PASSED_ON}, {_NO_PROOFS} FROM fitting JOIN commands c USING (id)
     WHERE bytes <= %(bytes)s OR bytes = fitting.results_size ORDER BY c.position
"""  # noqa: S608 - constants

# Action by action: there is no index by agent, which every answer would have to write to.
_HISTORY = f"""
    SELECT {_COLUMNS.replace("c.results,", "NULL AS results,")}, {_NO_PROOFS}, c.results_size, a.name AS action_name,
           a.created_at
      FROM actions a
      JOIN commands c ON c.action_id = a.id AND c.agent_id = %(agent)s
                     AND c.id BETWEEN a.first_command AND a.last_command
     WHERE (a.created_at, a.id) < (%(at)s::timestamptz, %(id)s::uuid)
     ORDER BY a.created_at DESC, a.id DESC LIMIT %(limit)s
"""  # noqa: S608 - constants


class PostgresCommands(PostgresOutbox):
    """:class:`mig_core.store.base.Commands` in PostgreSQL."""

    async def record(
        self,
        answers: Sequence[Answer],
        now: datetime,
        *,
        settle: bool = False,
        sent: Mapping[CommandId, datetime] | None = None,
    ) -> Sequence[Recording]:
        """See the protocol."""
        return await record_answers(self._database, answers, now, settle=settle, sent=sent or {})

    async def awaited(self, claims: Sequence[tuple[CommandId | None, str]]) -> Sequence[Recording | None]:
        """See the protocol."""
        return await awaited(self._database, claims)

    async def get(self, action: ActionId, agent: AgentId, *, proof: bool = False) -> CommandRow:
        """See the protocol."""
        columns = f"{_COLUMNS}, {_PROOFS if proof else _NO_PROOFS}"

        async def work(cursor: Cursor) -> CommandRow:
            await cursor.execute(
                f"SELECT {columns} FROM actions a JOIN commands c ON c.action_id = a.id AND c.agent_id = %s"  # noqa: S608 - a constant
                " AND c.id BETWEEN a.first_command AND a.last_command WHERE a.id = %s",
                (clean_text(agent), as_uuid(action)),
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFound("command", f"of action {action} for agent {agent}")
            return _command(row)

        return await self._database.transaction(work)

    async def list(
        self,
        action: ActionId,
        *,
        states: Sequence[CommandState] = (),
        found: bool | None = None,
        cursor: str = "",
        limit: int = 100,
        proofs: bool = False,
    ) -> tuple[Sequence[CommandRow], str]:
        """See the protocol."""
        name, agent = read_cursor(cursor, parts=2) if cursor else ("", "")
        length = page_limit(limit)
        parameters = {
            "action": as_uuid(action),
            "states": [one.value for one in states] or None,
            "found": found,
            "name": name,
            "agent": agent,
            "limit": length,
            # The signed documents are as large again, and larger in base64.
            "bytes": MAX_PAGE_BYTES // 3 if proofs else MAX_PAGE_BYTES,
        }
        columns = f"{_COLUMNS}, {_PROOFS if proofs else _NO_PROOFS}"
        statement = _LIST.format(columns=columns, narrowing=_narrowing(states, found))

        async def work(sql_cursor: Cursor) -> tuple[Sequence[CommandRow], str]:
            await sql_cursor.execute(statement, parameters)
            rows = await sql_cursor.fetchall()
            more = bool(rows) and (len(rows) == length or len(rows) < rows[0]["found_rows"])
            following = write_cursor(rows[-1]["agent_name"], rows[-1]["agent_id"]) if more else ""
            return [_command(row) for row in rows], following

        return await self._database.transaction(work)

    async def history(
        self, agent: AgentId, *, cursor: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[CommandRow, str, int]], str]:
        """See the protocol."""
        at, identifier = _read_place(cursor)
        length = page_limit(limit)
        parameters = {"agent": clean_text(agent), "at": at, "id": identifier, "limit": length}

        async def work(sql_cursor: Cursor) -> tuple[Sequence[tuple[CommandRow, str, int]], str]:
            await sql_cursor.execute(_HISTORY, parameters)
            rows = await sql_cursor.fetchall()
            following = ""
            if len(rows) == length:
                following = write_cursor(format_time(rows[-1]["created_at"]), str(rows[-1]["action_id"]))
            return [(_command(row), row["action_name"], row["results_size"]) for row in rows], following

        return await self._database.transaction(work)

    async def finished_since(self, action: ActionId, *, position: str, limit: int = 500) -> Sequence[CommandRow]:
        """See the protocol. A page may be shorter than ``limit`` although there is more; the last one is empty."""
        if not (position == "" or (position.isascii() and position.isdigit() and len(position) < 19)):
            raise InvalidDocument("position", "was not given out by this stream", next_step="begin without one")
        parameters = {
            "action": as_uuid(action),
            "position": int(position or 0),
            "limit": page_limit(limit),
            "bytes": MAX_PAGE_BYTES,
        }

        async def work(cursor: Cursor) -> Sequence[CommandRow]:
            await cursor.execute(_SINCE, parameters)
            return [_command(row) for row in await cursor.fetchall()]

        return await self._database.statement(work)


def _narrowing(states: Sequence[CommandState], found: bool | None) -> str:
    """Follows from what is asked for, and lets an index find the few of very many."""
    if states and not any(one.is_final for one in states):
        return _STILL_OPEN
    if found or (states and all(one.is_final and one is not CommandState.SUCCESS for one in states)):
        return _NOTABLE
    return ""


def _read_place(cursor: str) -> tuple[datetime | str, str]:
    if not cursor:
        return NEWEST
    at, identifier = read_cursor(cursor, parts=2)
    try:
        return parse_time(at), check_uuid(identifier, subject="cursor", path="")
    except ValueError as error:
        raise InvalidDocument("cursor", "was not given out by this list") from error


def _command(row: Row) -> CommandRow:
    return CommandRow(
        id=CommandId(str(row["id"])),
        action=ActionId(str(row["action_id"])),
        agent=AgentId(row["agent_id"]),
        agent_name=row["agent_name"],
        state=CommandState(row["state"]),
        reason=row["reason"],
        found=row["found"],
        complete=row["complete"],
        results=row["results"],
        queued_at=row["queued_at"],
        sent_at=row["sent_at"],
        finished_at=row["finished_at"],
        position="" if row["position"] is None else str(row["position"]),
        proof=None if row["signed_answer"] is None else Proof(row["signed_answer"], row["signature"]),
        public_key=row["public_key"] or b"",
        results_text=row.get("results_text"),
    )
