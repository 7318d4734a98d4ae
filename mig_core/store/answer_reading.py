"""Beginning to read an action's answers: one snapshot, its books, and what one page may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors, sql

from mig_core.domain.command import CommandState
from mig_core.errors import InvalidDocument, NotFound
from mig_core.store.database import set_locally
from mig_core.store.encoding import as_uuid
from mig_core.store.found_rows import Account

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.column_kind import ColumnKind
    from mig_core.domain.ids import ActionId
    from mig_core.domain.reading.reading import Choice
    from mig_core.store.database import Cursor

MAX_PAGE_BYTES = 16 << 20
"""A page ends before it is larger than this; one entry is always given."""
MAX_READ_BYTES = 8 << 20
"""Answers that one page of unsorted rows looks through, at most; one is always looked through."""
SECONDS = 60

_SETTINGS = (f"statement_timeout = {SECONDS * 1000}", "work_mem = '64MB'", "jit = off")
_BOOKS = """
    SELECT state, count(*) AS number, count(*) FILTER (WHERE {answered}) AS answered,
           count(*) FILTER (WHERE {answered} AND NOT coalesce(complete, false)) AS partial, max(position) AS latest
      FROM commands c WHERE action_id = %(action)s GROUP BY state
"""
ANSWERED = "c.results_size > 2 AND c.position <= %(until)s"
# An empty list has two bytes; to look into the results would read each of them.


class Reading:
    """What one transaction knows of the action."""

    def __init__(self, action: object, until: int | None, books: Sequence[dict[str, object]]) -> None:
        latest = max((int(str(one["latest"])) for one in books if one["latest"] is not None), default=0)
        self.until = latest if until is None else until
        self.parameters: dict[str, object] = {"action": action, "until": self.until}
        self.books = books

    def account(self, totals: dict[str, object]) -> Account:
        """Every endpoint, by the books and by what the rows said."""

        def total(name: str) -> int:
            return sum(int(str(one[name])) for one in self.books)

        def number(name: str) -> int:
            return int(str(totals[name] or 0))

        return Account(
            targeted=total("number"),
            counts={CommandState(str(one["state"])): int(str(one["number"])) for one in self.books},
            answered=total("answered"),
            partial=total("partial"),
            with_rows=number("with_rows"),
            undecided_rows=number("undecided_rows"),
            undecided=number("undecided"),
            unreadable=number("unreadable"),
        )


async def begin_reading(cursor: Cursor, action: ActionId, until: int | None, *, settings: bool = True) -> Reading:
    """Looks at the books, in a snapshot.

    Raises:
        NotFound
    """
    if settings:
        await set_locally(cursor, *_SETTINGS)
    identifier = as_uuid(action)
    await cursor.execute("SELECT 1 AS known FROM actions WHERE id = %s", (identifier,))
    if await cursor.fetchone() is None:
        raise NotFound("action", action)
    largest = (1 << 63) - 1
    await cursor.execute(
        _BOOKS.format(answered=ANSWERED), {"action": identifier, "until": largest if until is None else until}
    )
    return Reading(identifier, until, await cursor.fetchall())


async def execute(cursor: Cursor, statement: sql.SQL | sql.Composed, parameters: dict[str, object]) -> None:
    """Runs a statement.

    Raises:
        InvalidDocument: it takes too long.
    """
    try:
        await cursor.execute(statement, parameters)
    except errors.QueryCanceled as error:
        raise InvalidDocument(
            "request", f"takes longer than {SECONDS} s", path="where", next_step="ask for fewer columns or values"
        ) from error


def kinds_of(choice: Choice, columns: Sequence[str]) -> list[ColumnKind]:
    """The kinds of columns."""
    known = {one.name: one.kind for one in choice.fields()}
    return [known[one] for one in columns]


def number_of(text: str) -> int:
    """A number of a cursor."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidDocument("cursor", "was not given out by this list", next_step="begin again without a cursor")
    return int(text)
