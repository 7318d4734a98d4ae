"""Agents that wait for approval: anybody can ask for it, so there is room for a bounded number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.store.database import Cursor

MOST_PENDING = 5_000
"""So many agents may wait for approval."""
STILL_ASKING = timedelta(minutes=10)
"""Agents that wait for approval ask every minute. Who was silent so long goes first when there are too many."""

_PENDING = "SELECT count(*) AS number FROM agents WHERE status = 'pending'"
_PENDING_AFTER = f"""
    WITH forgotten AS (SELECT mig_forget_pending(%(before)s) AS number)
    SELECT ({_PENDING}) - (SELECT number FROM forgotten) AS number
"""  # noqa: S608 - a constant; a statement sees the table as it was before it


async def room_for_pending(cursor: Cursor, wanted: int, *, now: datetime) -> int:
    """How many more agents may wait for approval. Unless all that want to may, those that ask no more make room."""
    room = 0
    for pending in (_PENDING, _PENDING_AFTER):
        await cursor.execute(pending, {"before": now - STILL_ASKING})
        row = await cursor.fetchone()
        room = MOST_PENDING - (0 if row is None else int(row["number"]))
        if room >= wanted:
            break
    return room


async def forget_pending(cursor: Cursor, before: datetime) -> int:
    """See :meth:`mig_core.store.base.Agents.forget_pending`; in the transaction of ``cursor``."""
    await cursor.execute("SELECT mig_forget_pending(%s) AS number", (before,))
    row = await cursor.fetchone()
    return 0 if row is None else int(row["number"])
