"""What differs between the answers of two actions: rows gone, new and changed, by agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from mig_core.store.answer_reading import MAX_PAGE_BYTES, begin_reading, execute, kinds_of, number_of
from mig_core.store.answer_sql import row_branches
from mig_core.store.encoding import read_cursor, write_cursor
from mig_core.store.found_rows import Diff, Difference
from mig_core.store.row_sql import Values, json_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.column_kind import ColumnKind
    from mig_core.domain.ids import ActionId
    from mig_core.domain.reading.reading import DiffWish
    from mig_core.store.database import Cursor

# Rows are compared as they are, each once however often it is in an answer. Of several rows with one key the first of
# one side is paired with the first of the other.
_DIFF = """
    WITH first AS ({first}), second AS ({second}),
    asked AS (
        SELECT agent_id, max(agent_name) AS agent_name,
               bool_or(action_id = %(action)s AND {answered_first}) AS in_first,
               bool_or(action_id = %(other)s AND {answered_second}) AS in_second,
               bool_and(action_id <> %(action)s OR coalesce(complete, false)) AS first_complete,
               bool_and(action_id <> %(other)s OR coalesce(complete, false)) AS second_complete
          FROM commands WHERE action_id IN (%(action)s, %(other)s) GROUP BY agent_id
    ),
    gone AS (SELECT *, row_number() OVER (PARTITION BY agent_id, operation, key ORDER BY cells) AS nth FROM (
        SELECT agent_id, operation, key, cells FROM first EXCEPT
        SELECT agent_id, operation, key, cells FROM second) AS x),
    new AS (SELECT *, row_number() OVER (PARTITION BY agent_id, operation, key ORDER BY cells) AS nth FROM (
        SELECT agent_id, operation, key, cells FROM second EXCEPT
        SELECT agent_id, operation, key, cells FROM first) AS x),
    differing AS (
        SELECT agent_id, operation, coalesce(gone.key, new.key) AS key, nth, gone.cells AS before, new.cells AS after
          FROM gone FULL JOIN new USING (agent_id, operation, key, nth)
    ),
    entries AS MATERIALIZED (
        SELECT d.*, agent_name, CASE WHEN after IS NULL THEN second_complete WHEN before IS NULL THEN first_complete
                                     ELSE true END AS certain
          FROM differing d JOIN asked USING (agent_id) WHERE in_first AND in_second
    ),
    totals AS (
        SELECT count(*) FILTER (WHERE after IS NULL) AS gone, count(*) FILTER (WHERE before IS NULL) AS new,
               count(*) FILTER (WHERE before IS NOT NULL AND after IS NOT NULL) AS changed,
               count(DISTINCT agent_id) AS differing FROM entries
    ),
    books AS (
        SELECT count(*) FILTER (WHERE in_first AND in_second) AS both,
               count(*) FILTER (WHERE in_first AND in_second AND NOT (first_complete AND second_complete)) AS partial,
               count(*) FILTER (WHERE in_first AND NOT in_second) AS only_first,
               count(*) FILTER (WHERE in_second AND NOT in_first) AS only_second,
               count(*) FILTER (WHERE NOT in_first AND NOT in_second) AS silent FROM asked
    ),
    page AS (SELECT * FROM entries ORDER BY agent_name, agent_id, operation, key, nth
              LIMIT %(limit)s OFFSET %(offset)s),
    measured AS (SELECT *, row_number() OVER () AS place,
                        sum(octet_length(page::text)) OVER (ROWS UNBOUNDED PRECEDING) AS size FROM page)
    SELECT totals.*, books.*, agent_id, agent_name, operation, before, after, certain
      FROM totals CROSS JOIN books LEFT JOIN measured ON size <= %(bytes)s OR place = 1 ORDER BY place
"""
_KEYED = "SELECT agent_id, operation, {key} AS key, cells[1:{width}] AS cells FROM ({branches}) AS found"
_NONE = "SELECT ''::text AS agent_id, 0 AS operation, ''::text[] AS key, ''::text[] AS cells WHERE false"
_ANSWERED = "results_size > 2 AND position <= {until}"


async def read_diff(cursor: Cursor, earlier: ActionId, later: ActionId, wish: DiffWish, *, now: datetime) -> Diff:
    """See :meth:`mig_core.store.base.AnswerRows.diff`."""
    until, until_later, offset = _read_cursor(wish.cursor)
    first = await begin_reading(cursor, earlier, until)
    second = await begin_reading(cursor, later, until_later, settings=False)
    columns = wish.columns or tuple(one.name for one in wish.choice.fields())
    values = Values()
    parts = {
        name: _keyed(wish, columns, values, now, names)
        for name, names in (("first", ("action", "until")), ("second", ("other", "until_later")))
    }
    statement = sql.SQL(_DIFF).format(
        **parts,
        answered_first=sql.SQL(_ANSWERED).format(until=sql.Placeholder("until")),
        answered_second=sql.SQL(_ANSWERED).format(until=sql.Placeholder("until_later")),
    )
    parameters = {**values.by_name, **first.parameters, "agents": None, "bytes": MAX_PAGE_BYTES}
    parameters |= {"other": second.parameters["action"], "until_later": second.until}
    parameters |= {"limit": wish.limit, "offset": offset}
    await execute(cursor, statement, parameters)
    found = await cursor.fetchall()
    items = [one for one in found if one["agent_id"] is not None]
    head = found[0]
    following = offset + len(items)
    more = bool(items) and following < head["gone"] + head["new"] + head["changed"]
    kinds = kinds_of(wish.choice, columns)
    counts = ("gone", "new", "changed", "differing", "both", "partial", "only_first", "only_second", "silent")
    return Diff(
        columns=columns,
        items=tuple(_difference(one, kinds) for one in items),
        cursor=write_cursor(str(first.until), str(second.until), str(following)) if more else "",
        **{name: head[name] for name in counts},
    )


def _keyed(
    wish: DiffWish, columns: Sequence[str], values: Values, now: datetime, names: tuple[str, str]
) -> sql.Composable:
    """The rows of one action, each with the cells of its key."""
    branches = row_branches(wish.choice, (*columns, *wish.key), (), values, now, names=names)
    if not branches:
        return sql.SQL(_NONE)
    width = len(columns)
    return sql.SQL(_KEYED).format(
        key=sql.SQL("cells[{}:]").format(sql.Literal(width + 1)) if wish.key else sql.SQL("cells"),
        width=sql.Literal(width),
        branches=sql.SQL(" UNION ALL ").join(branches),
    )


def _difference(row: dict[str, Any], kinds: Sequence[ColumnKind]) -> Difference:
    def cells(name: str) -> tuple[str, ...] | None:
        given = row[name]
        return None if given is None else tuple(json_of(one, kind) for one, kind in zip(given, kinds, strict=True))

    return Difference(
        row["agent_id"], row["agent_name"], row["operation"], cells("before"), cells("after"), row["certain"]
    )


def _read_cursor(cursor: str) -> tuple[int | None, int | None, int]:
    if not cursor:
        return None, None, 0
    until, later, offset = read_cursor(cursor, parts=3)
    return number_of(until), number_of(later), number_of(offset)
