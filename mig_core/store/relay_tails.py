"""What messages of the https relay have in common: read once by each process, and put behind what each begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.messages import Claimed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from mig_core.store.database import Cursor, Row

MOST_BYTES = 8 << 20
"""Of tails that are remembered; one alone may be larger."""

_TAILS = "SELECT id, body FROM relay_tails WHERE id = ANY(%s)"


class RelayTails:
    """The tails that this process has seen, by their action. They never change."""

    def __init__(self) -> None:
        self._known: dict[UUID, bytes] = {}
        self._bytes = 0

    async def whole(self, cursor: Cursor, rows: Sequence[Row]) -> list[tuple[Row, Claimed]]:
        """Each of the rows (``id``, ``body``, ``tail``) with its message; left out whose tail has expired meanwhile."""
        wanted = {row["tail"] for row in rows if row["tail"] is not None}
        tails = {action: self._known[action] for action in wanted if action in self._known}
        if missing := wanted - tails.keys():
            await cursor.execute(_TAILS, (sorted(missing),))
            read = {row["id"]: row["body"] for row in await cursor.fetchall()}
            tails |= read
            self._remember(read)
        return [
            (row, Claimed(row["id"], row["body"] if row["tail"] is None else row["body"] + tails[row["tail"]]))
            for row in rows
            if row["tail"] is None or row["tail"] in tails
        ]

    def _remember(self, tails: dict[UUID, bytes]) -> None:
        # Others that waited for the same may have been first.
        new = {action: body for action, body in tails.items() if action not in self._known}
        self._known |= new
        self._bytes += sum(map(len, new.values()))
        while self._bytes > MOST_BYTES and len(self._known) > 1:
            self._bytes -= len(self._known.pop(next(iter(self._known))))  # the oldest
