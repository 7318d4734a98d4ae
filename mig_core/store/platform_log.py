"""The platform log in PostgreSQL. Its rows are written by triggers (``migrations/0007_platform_log.sql``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.times import format_time, parse_time
from mig_core.errors import InvalidDocument
from mig_core.store import roles
from mig_core.store.database import page_limit
from mig_core.store.encoding import NEWEST, as_uuid, clean_text, jsonb, read_cursor, write_cursor
from mig_core.store.rows import LogRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.database import Cursor, Database
    from mig_core.store.rows import LogWish

# A `what` of one word means all that begins with it: "action" is action.asked, action.approved and action.cancelled.
_LIST = """
    SELECT * FROM platform_log
     WHERE happened_at >= %(since)s::timestamptz AND happened_at < %(until)s::timestamptz
       AND (%(who)s = '' OR who = %(who)s OR who_name = %(who)s)
       AND (%(subject)s = '' OR subject = %(subject)s OR subject_name = %(subject)s)
       AND (%(address)s = '' OR address = %(address)s)
       AND (cardinality(%(what)s::text[]) = 0 OR what = ANY(%(what)s) OR split_part(what, '.', 1) = ANY(%(what)s))
       AND (happened_at, id) < (%(at)s::timestamptz, %(id)s::uuid)
     ORDER BY happened_at DESC, id DESC LIMIT %(limit)s
"""


class PostgresPlatformLog:
    """:class:`mig_core.store.base.PlatformLog` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(
        self, what: str, *, subject: str = "", subject_name: str = "", detail: Mapping[str, JSON] | None = None
    ) -> None:
        """See the protocol."""
        values = (what, clean_text(subject), clean_text(subject_name), jsonb(dict(detail or {})))

        async def work(cursor: Cursor) -> None:
            await cursor.execute("SELECT mig_log_add(%s, '', %s, %s, %s::jsonb)", values)

        await self._database.transaction(work)

    async def list(self, wish: LogWish, *, cursor: str = "", limit: int = 100) -> tuple[Sequence[LogRow], str]:
        """See the protocol."""
        length = page_limit(limit)
        at, identifier = _position(cursor) if cursor else NEWEST
        values = {
            "since": wish.since or "-infinity",
            "until": wish.until or "infinity",
            "who": clean_text(wish.who),
            "subject": clean_text(wish.subject),
            "address": clean_text(wish.address),
            "what": [clean_text(one) for one in wish.what],
            "at": at,
            "id": identifier,
            "limit": length + 1,
        }

        async def work(sql_cursor: Cursor) -> tuple[Sequence[LogRow], str]:
            await sql_cursor.execute(_LIST, values)
            found = [
                LogRow(
                    at=row["happened_at"],
                    id=str(row["id"]),
                    **{
                        name: row[name]
                        for name in ("what", "who", "who_name", "address", "login", "subject", "subject_name", "detail")
                    },
                )
                for row in await sql_cursor.fetchall()
            ]
            shown = found[:length]
            more = len(found) > length
            return shown, write_cursor(format_time(shown[-1].at), shown[-1].id) if more else ""

        return await self._database.transaction(work)


def forget_log(owner_url: str, before: datetime) -> int:
    """Drops whole months that ended before a moment; returns how many.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """
    with roles.connect(owner_url) as connection:
        row = connection.execute("SELECT mig_forget_log(%s)", (before,)).fetchone()
    return int(str(row[0])) if row else 0


def _position(cursor: str) -> tuple[datetime, str]:
    at, identifier = read_cursor(cursor, parts=2)
    try:
        return parse_time(at), str(as_uuid(identifier))
    except ValueError as error:
        raise InvalidDocument("cursor", "was not given out by this list") from error
