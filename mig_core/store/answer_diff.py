"""What differs between the answers of two actions: rows gone, new and changed, by agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from mig_core.domain.reading.reading import choice
from mig_core.store.answer_reading import MAX_READ_BYTES, begin_reading, execute, kinds_of, number_of
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

# The agents of one page: those that answered both. Where the elements are the same nothing differs, and no row is made.
_AGENTS = """
    WITH pairs AS (
        SELECT c.agent_id, c.agent_name, c.results_size::bigint + d.results_size AS bytes,
               c.results AS before, d.results AS after
          FROM commands c JOIN commands d ON d.action_id = %(other)s AND d.agent_id = c.agent_id
         WHERE c.action_id = %(action)s AND c.results_size > 2 AND c.position <= %(until)s
           AND d.results_size > 2 AND d.position <= %(until_later)s
           AND (c.agent_name, c.agent_id) > (%(name)s, %(agent)s)
    ), page AS (
        SELECT agent_id, agent_name, bytes, before, after, row_number() OVER place AS number,
               sum(bytes) OVER place AS total
          FROM pairs WINDOW place AS (ORDER BY agent_name, agent_id)
    )
    SELECT agent_id, agent_name,
           jsonb_path_query_array(before, '$[*].elements')
               IS DISTINCT FROM jsonb_path_query_array(after, '$[*].elements') AS differs
      FROM page WHERE number <= %(limit)s AND (total <= %(bytes)s OR number = 1) ORDER BY number
"""
_BOOKS = """
    WITH asked AS (
        SELECT agent_id, bool_or(action_id = %(action)s AND results_size > 2 AND position <= %(until)s) AS in_first,
               bool_or(action_id = %(other)s AND results_size > 2 AND position <= %(until_later)s) AS in_second,
               bool_and(coalesce(complete, false)) AS complete
          FROM commands WHERE action_id IN (%(action)s, %(other)s) GROUP BY agent_id
    )
    SELECT count(*) FILTER (WHERE in_first AND in_second) AS both,
           count(*) FILTER (WHERE in_first AND in_second AND NOT complete) AS partial,
           count(*) FILTER (WHERE in_first AND in_second IS NOT TRUE) AS only_first,
           count(*) FILTER (WHERE in_second AND in_first IS NOT TRUE) AS only_second,
           count(*) FILTER (WHERE in_first IS NOT TRUE AND in_second IS NOT TRUE) AS silent FROM asked
"""
# Rows are compared as they are, each once however often it is in an answer. Of several rows with one key the first of
# one side is paired with the first of the other. An answer that found something and has no row (of another form) says
# nothing of a row that it lacks.
_DIFF = """
    WITH first AS ({first}), second AS ({second}),
    gone AS (SELECT *, row_number() OVER (PARTITION BY agent_id, operation, key ORDER BY cells) AS nth FROM (
        SELECT agent_id, operation, key, cells FROM first EXCEPT
        SELECT agent_id, operation, key, cells FROM second) AS x),
    new AS (SELECT *, row_number() OVER (PARTITION BY agent_id, operation, key ORDER BY cells) AS nth FROM (
        SELECT agent_id, operation, key, cells FROM second EXCEPT
        SELECT agent_id, operation, key, cells FROM first) AS x),
    differing AS (
        SELECT agent_id, operation, coalesce(gone.key, new.key) AS key, nth, gone.cells AS before, new.cells AS after
          FROM gone FULL JOIN new USING (agent_id, operation, key, nth)
    )
    SELECT d.agent_id, c.agent_name, d.operation, d.before, d.after,
           CASE WHEN after IS NULL THEN coalesce(e.complete AND (NOT e.found OR e.agent_id IN ({read_second})), false)
                WHEN before IS NULL THEN coalesce(c.complete AND (NOT c.found OR c.agent_id IN ({read_first})), false)
                ELSE true END AS certain
      FROM differing d JOIN commands c ON c.action_id = %(action)s AND c.agent_id = d.agent_id
      JOIN commands e ON e.action_id = %(other)s AND e.agent_id = d.agent_id
     ORDER BY c.agent_name, d.agent_id, d.operation, d.key, d.nth
"""
_KEYED = "SELECT agent_id, operation, {key} AS key, cells[1:{width}] AS cells FROM ({branches}) AS found"
_READ = "SELECT agent_id FROM ({branches}) AS found"
_NONE = "SELECT ''::text AS agent_id, 0 AS operation, ''::text[] AS key, ''::text[] AS cells WHERE false"


async def read_diff(cursor: Cursor, earlier: ActionId, later: ActionId, wish: DiffWish, *, now: datetime) -> Diff:
    """See :meth:`mig_core.store.base.AnswerRows.diff`."""
    until, until_later, name, agent = _read_cursor(wish.cursor)
    # 1. One snapshot of both actions, and who is compared on this page.
    first = await begin_reading(cursor, earlier, until)
    second = await begin_reading(cursor, later, until_later, settings=False)
    shared = {**first.parameters, "other": second.parameters["action"], "until_later": second.until}
    where = {"name": name, "agent": agent, "limit": wish.limit, "bytes": MAX_READ_BYTES}
    await execute(cursor, sql.SQL(_AGENTS), {**shared, **where})
    agents = await cursor.fetchall()
    await execute(cursor, sql.SQL(_BOOKS), shared)
    books = await cursor.fetchone() or {}
    # 2. The rows of those whose answers are not the same.
    differing = [one["agent_id"] for one in agents if one["differs"]]
    columns = wish.columns or tuple(one.name for one in wish.choice.fields())
    found: list[dict[str, Any]] = []
    if differing:
        values = Values()
        statement = sql.SQL(_DIFF).format(
            first=_keyed(wish, columns, values, now, ("action", "until")),
            second=_keyed(wish, columns, values, now, ("other", "until_later")),
            read_first=_read(wish, values, now, ("action", "until")),
            read_second=_read(wish, values, now, ("other", "until_later")),
        )
        await execute(cursor, statement, {**values.by_name, **shared, "agents": differing})
        found = await cursor.fetchall()
    # 3. What came of it.
    kinds = kinds_of(wish.choice, columns)
    following = ""
    if agents:
        end = agents[-1]
        following = write_cursor(str(first.until), str(second.until), end["agent_name"], end["agent_id"])
    return Diff(
        columns=columns,
        items=tuple(_difference(one, kinds) for one in found),
        gone=sum(one["after"] is None for one in found),
        new=sum(one["before"] is None for one in found),
        changed=sum(one["before"] is not None and one["after"] is not None for one in found),
        differing=len({one["agent_id"] for one in found}),
        cursor=following,
        **{count: books[count] for count in ("both", "partial", "only_first", "only_second", "silent")},
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


def _read(wish: DiffWish, values: Values, now: datetime, names: tuple[str, str]) -> sql.Composable:
    """The agents whose answer to one action has any rows, whether these are meant or not."""
    branches = row_branches(choice(wish.choice.shapes), (), (), values, now, names=names)
    if not branches:
        return sql.SQL("SELECT ''::text")
    return sql.SQL(_READ).format(branches=sql.SQL(" UNION ALL ").join(branches))


def _difference(row: dict[str, Any], kinds: Sequence[ColumnKind]) -> Difference:
    def cells(name: str) -> tuple[str, ...] | None:
        given = row[name]
        return None if given is None else tuple(json_of(one, kind) for one, kind in zip(given, kinds, strict=True))

    return Difference(
        row["agent_id"], row["agent_name"], row["operation"], cells("before"), cells("after"), row["certain"]
    )


def _read_cursor(cursor: str) -> tuple[int | None, int | None, str, str]:
    if not cursor:
        return None, None, "", ""
    until, later, name, agent = read_cursor(cursor, parts=4)
    return number_of(until), number_of(later), name, agent
