"""Answers as rows: read, stacked, compared, where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.ids import ActionId
    from mig_core.domain.reading.reading import DiffWish, RowsWish, StackWish
    from mig_core.store.found_rows import Diff, RowPage, Stack


class AnswerRows(Protocol):
    """Rows of an action's answers, by shapes that whoever asks brings along. Reads only, and changes nothing.

    Elements come from endpoints: whatever they hold, it can make no statement fail. What cannot be read as a row, and
    rows that a condition cannot judge, are counted (:class:`mig_core.store.found_rows.Account`).
    """

    async def rows(self, action: ActionId, wish: RowsWish, *, now: datetime) -> RowPage:
        """Rows by agent and as the agents gave them, or sorted. A page may be empty although there is more.

        All pages see the answers that were there when the first was read.

        Raises:
            NotFound
            InvalidDocument: the cursor was not given out here, or the statement took too long.
        """
        ...

    async def diff(self, earlier: ActionId, later: ActionId, wish: DiffWish, *, now: datetime) -> Diff:
        """What differs between the answers of two actions with the same operations, by agent.

        A page is of so many agents at most as the wish's limit says; the last one has none.

        Raises:
            NotFound
            InvalidDocument: the cursor was not given out here, or the statement took too long.
        """
        ...

    async def stack(self, action: ActionId, wish: StackWish, *, now: datetime) -> Stack:
        """Values with the endpoints that have them, the most frequent first (``rare``: the least).

        Raises:
            NotFound
            InvalidDocument: the cursor was not given out here, or the statement took too long.
        """
        ...
