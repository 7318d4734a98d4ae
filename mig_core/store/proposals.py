"""Proposals in PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.ids import ActionId, Fingerprint
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import Conflict, InvalidDocument, NoRoom, NotFound
from mig_core.store.encoding import NEWEST, as_uuid, clean_text, read_cursor, write_cursor
from mig_core.store.rows import ProposalRow, ProposalState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.store.database import Cursor, Database, Row

MOST_OPEN = 200
"""Of one proposer. Whoever runs amok fills no one else's inbox, and the inbox stays something a person can read."""
OPEN_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=90)

_SELECT = """
    SELECT p.*, i.name AS proposer_name, coalesce(d.name, '') AS decided_by_name
      FROM proposals p JOIN investigators i ON i.fingerprint = p.proposer
      LEFT JOIN investigators d ON d.fingerprint = p.decided_by
"""


class PostgresProposals:
    """:class:`mig_core.store.base.Proposals` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, identifier: str, proposer: Fingerprint, payload: bytes, now: datetime) -> ProposalRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> ProposalRow:
            await cursor.execute(
                "DELETE FROM proposals WHERE created_at < %s AND state = 'open' OR decided_at < %s",
                (now - OPEN_FOR, now - KEPT_FOR),
            )
            # Those of one proposer one after the other, so that two at once are not one too many.
            await cursor.execute("SELECT 1 FROM investigators WHERE fingerprint = %s FOR NO KEY UPDATE", (proposer,))
            await cursor.execute(
                "SELECT count(*) AS number FROM proposals WHERE proposer = %s AND state = 'open'", (proposer,)
            )
            waiting = await cursor.fetchone()
            if waiting is not None and waiting["number"] >= MOST_OPEN:
                raise NoRoom(
                    f"{MOST_OPEN} proposals of yours wait already",
                    next_step="an investigator must sign or reject some: mig proposals",
                )
            await cursor.execute(
                "INSERT INTO proposals (id, proposer, payload, state, created_at) VALUES (%s, %s, %s, 'open', %s)",
                (as_uuid(identifier), proposer, payload, now),
            )
            return await _one(cursor, identifier)

        return await self._database.transaction(work)

    async def get(self, identifier: str) -> ProposalRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> ProposalRow:
            return await _one(cursor, identifier)

        return await self._database.transaction(work)

    async def list(
        self, *, states: Sequence[ProposalState] = (), cursor: str = "", limit: int = 50
    ) -> tuple[Sequence[ProposalRow], str]:
        """See the protocol."""
        at, identifier = _position(cursor) if cursor else NEWEST
        values = {"states": [one.value for one in states], "at": at, "id": identifier, "limit": limit + 1}

        async def work(cursor: Cursor) -> tuple[Sequence[ProposalRow], str]:
            await cursor.execute(
                _SELECT
                + """
                 WHERE (cardinality(%(states)s::text[]) = 0 OR p.state = ANY(%(states)s))
                   AND (p.created_at, p.id) < (%(at)s::timestamptz, %(id)s::uuid)
                 ORDER BY p.created_at DESC, p.id DESC LIMIT %(limit)s
                """,
                values,
            )
            rows = [_proposal(row) for row in await cursor.fetchall()]
            shown = rows[:limit]
            more = len(rows) > limit
            return shown, write_cursor(format_time(shown[-1].created_at), shown[-1].id) if more else ""

        return await self._database.transaction(work)

    async def decide(
        self,
        identifier: str,
        state: ProposalState,
        by: Fingerprint,
        now: datetime,
        *,
        answer: str = "",
        action: ActionId | None = None,
    ) -> ProposalRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> ProposalRow:
            await cursor.execute(
                """
                UPDATE proposals SET state = %s, decided_at = %s, decided_by = %s, answer = %s, action_id = %s
                 WHERE id = %s AND state = 'open'
                """,
                (state.value, now, by, clean_text(answer), action, as_uuid(identifier)),
            )
            decided = cursor.rowcount == 1
            row = await _one(cursor, identifier)
            if not decided:
                done = f"was {row.state.value} already, by {row.decided_by_name}"
                raise Conflict(f"proposal {row.id} {done}{f': action {row.action}' if row.action else ''}")
            return row

        return await self._database.transaction(work)


async def _one(cursor: Cursor, identifier: str) -> ProposalRow:
    await cursor.execute(_SELECT + " WHERE p.id = %s", (as_uuid(identifier),))
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("proposal", identifier)
    return _proposal(row)


def _position(cursor: str) -> tuple[datetime, str]:
    at, identifier = read_cursor(cursor, parts=2)
    try:
        return parse_time(at), str(as_uuid(identifier))
    except ValueError as error:
        raise InvalidDocument("cursor", "was not given out by this list") from error


def _proposal(row: Row) -> ProposalRow:
    return ProposalRow(
        id=str(row["id"]),
        proposer=Fingerprint(row["proposer"]),
        proposer_name=row["proposer_name"],
        payload=row["payload"],
        state=ProposalState(row["state"]),
        created_at=row["created_at"],
        decided_at=row["decided_at"],
        decided_by_name=row["decided_by_name"],
        answer=row["answer"],
        action=None if row["action_id"] is None else ActionId(str(row["action_id"])),
    )
