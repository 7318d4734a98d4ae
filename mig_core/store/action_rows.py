"""Actions between the domain and the table: columns, sums, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.ids import ActionId, Fingerprint
from mig_core.errors import NotFound
from mig_core.store.encoding import as_uuid
from mig_core.store.rows import ActionRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.store.database import Cursor, Row

COLUMNS = (
    "id, name, target, envelope, state, reason, valid_from, expire_after, created_at, created_by, signers, targeted,"
    " final_counts, final_found, final_partial, finished_at, cancel_envelope IS NOT NULL AS cancelling, cancelled_by,"
    " cancelled_at"
)

_STILL_QUEUED = "u.action_id = a.id AND u.id BETWEEN a.first_command AND a.last_command AND u.again_at IS NULL"
_QUEUED = f"""
    SELECT a.id, count(*) AS number FROM actions a JOIN unsent_commands u ON {_STILL_QUEUED}
     WHERE a.id = ANY(%s) GROUP BY a.id
"""  # noqa: S608 - a constant
_WITH_QUEUED = f"""
    SELECT {COLUMNS}, CASE WHEN state = 'inflight' THEN
           (SELECT count(*) FROM unsent_commands u WHERE {_STILL_QUEUED}) END AS queued
      FROM actions a WHERE id = %s
"""  # noqa: S608 - constants


async def summed_action(cursor: Cursor, action: ActionId) -> ActionRow:
    """An action with its sums: one statement, which sees both at one moment.

    Raises:
        NotFound
    """
    await cursor.execute(_WITH_QUEUED, (as_uuid(action),))
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("action", action)
    return _action_row(row, row["queued"] or 0)


async def locked_action(cursor: Cursor, action: ActionId) -> Row:
    """The action's row, locked against whoever wants to change it or to close its commands.

    Raises:
        NotFound
    """
    return await one_action(cursor, action, lock="FOR NO KEY UPDATE")


async def one_action(cursor: Cursor, action: ActionId, *, lock: str = "") -> Row:
    """The action's row.

    Raises:
        NotFound
    """
    identifier = as_uuid(action)
    await cursor.execute(f"SELECT {COLUMNS} FROM actions WHERE id = %s {lock}", (identifier,))  # noqa: S608 - constants
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("action", action)
    return row


async def action_rows(cursor: Cursor, rows: Sequence[Row]) -> list[ActionRow]:
    """The domain's words for rows of COLUMNS, with the sums, which always add up to what is targeted.

    An action's row has the sums of what is final, carried on by whoever closes commands. Of those under way it is
    counted what still waits for a relay; the others are sent.
    """
    under_way = [row["id"] for row in rows if row["state"] == ActionState.INFLIGHT]
    queued: dict[object, int] = {}
    if under_way:
        await cursor.execute(_QUEUED, (under_way,))
        queued = {row["id"]: row["number"] for row in await cursor.fetchall()}
    return [_action_row(row, queued.get(row["id"], 0)) for row in rows]


async def action_row(cursor: Cursor, row: Row) -> ActionRow:
    """One of them."""
    return (await action_rows(cursor, [row]))[0]


def _action_row(row: Row, queued: int) -> ActionRow:
    counts = {CommandState(state): int(number) for state, number in (row["final_counts"] or {}).items()}
    if row["state"] == ActionState.INFLIGHT:
        sent = row["targeted"] - queued - sum(counts.values())
        counts |= {state: n for state, n in ((CommandState.QUEUED, queued), (CommandState.SENT, sent)) if n}
    return ActionRow(
        id=ActionId(str(row["id"])),
        name=row["name"],
        target=row["target"],
        envelope=row["envelope"],
        state=ActionState(row["state"]),
        valid_from=row["valid_from"],
        expire_after=row["expire_after"],
        created_at=row["created_at"],
        created_by=Fingerprint(row["created_by"]),
        signers=tuple(Fingerprint(one) for one in row["signers"]),
        targeted=row["targeted"],
        counts=counts,
        found=row["final_found"] or 0,
        partial=row["final_partial"] or 0,
        finished_at=row["finished_at"],
        reason=row["reason"],
        cancelled_by=None if row["cancelled_by"] is None else Fingerprint(row["cancelled_by"]),
        cancelled_at=row["cancelled_at"],
    )
