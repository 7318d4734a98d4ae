"""How wakeups are sent: PostgreSQL's NOTIFY, delivered when the transaction commits.

Channels and keys are those of :class:`mig_core.store.base.Wakeups`. A payload is keys only, many in one notification:
the server delivers each to every listening process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.store.database import Cursor

PREFIX = "mig_"
CHANNELS = ("action", "outbox", "agent", "relay", "inbound", "login")
SEPARATOR = ","

KEYS_A_PAYLOAD = 150  # of at most 36 characters; PostgreSQL's limit is 7,999 bytes
_NOTIFY = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"


async def notify(cursor: Cursor, channel: str, keys: Iterable[str] = ("",)) -> None:
    """Wakes whoever watches one of ``keys`` (or the whole channel), after the commit. No key: only the latter."""
    distinct = sorted({str(key) for key in keys})
    payloads = [
        SEPARATOR.join(distinct[start : start + KEYS_A_PAYLOAD]) for start in range(0, len(distinct), KEYS_A_PAYLOAD)
    ]
    if payloads:
        await cursor.execute(_NOTIFY, (PREFIX + channel, payloads))
