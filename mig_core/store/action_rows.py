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

_SUMS = """
    SELECT action_id, state, count(*) AS number, count(*) FILTER (WHERE found) AS found,
           count(*) FILTER (WHERE state = 'success' AND NOT complete) AS partial
      FROM commands WHERE action_id = ANY(%s) GROUP BY action_id, state
"""


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
    """The domain's words for rows of COLUMNS, with the sums as this transaction's next snapshot sees them.

    An ended action has its sums in its own row; only those under way are counted.
    """
    under_way = [row["id"] for row in rows if row["state"] == ActionState.INFLIGHT]
    sums: dict[object, list[Row]] = {}
    if under_way:
        await cursor.execute(_SUMS, (under_way,))
        for row in await cursor.fetchall():
            sums.setdefault(row["action_id"], []).append(row)
    return [_action_row(row, sums.get(row["id"], ())) for row in rows]


async def action_row(cursor: Cursor, row: Row) -> ActionRow:
    """One of them."""
    return (await action_rows(cursor, [row]))[0]


def _action_row(row: Row, sums: Sequence[Row]) -> ActionRow:
    if row["final_counts"] is not None:
        counts = {CommandState(state): int(number) for state, number in row["final_counts"].items()}
        found, partial = row["final_found"], row["final_partial"]
    else:
        counts = {CommandState(one["state"]): one["number"] for one in sums}
        found, partial = sum(one["found"] for one in sums), sum(one["partial"] for one in sums)
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
        found=found,
        partial=partial,
        finished_at=row["finished_at"],
        reason=row["reason"],
        cancelled_by=None if row["cancelled_by"] is None else Fingerprint(row["cancelled_by"]),
        cancelled_at=row["cancelled_at"],
    )
