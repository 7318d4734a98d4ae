"""Rows and stacks of an action's answers, made where the answers lie.

One transaction reads one snapshot. Of pages that belong together all see the same answers: the cursor carries the
position up to which answers count (:meth:`mig_core.store.base.Commands.finished_since`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import errors, sql

from mig_core.domain.column_kind import NUMBERS
from mig_core.domain.command import CommandState
from mig_core.errors import InvalidDocument, NotFound
from mig_core.store.encoding import as_uuid, read_cursor, write_cursor
from mig_core.store.found_rows import Account, RowPage, Stack, Stacked
from mig_core.store.row_sql import Conditions, RowSource, Values, fact_sql, json_of, needs_agents, sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.column_kind import ColumnKind
    from mig_core.domain.ids import ActionId
    from mig_core.domain.reading.reading import Choice, RowsWish, StackWish
    from mig_core.domain.reading.shape import Shape
    from mig_core.domain.reading.where import Condition, Fact
    from mig_core.store.database import Cursor, Database

MAX_PAGE_BYTES = 16 << 20
"""A page ends before it is larger than this; one entry is always given."""
MAX_READ_BYTES = 24 << 20
"""Answers that one page of unsorted rows looks through, at most; one is always looked through."""
SECONDS = 60
MATCHES, UNDECIDED = 1, 2

_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    f"SET LOCAL statement_timeout = {SECONDS * 1000}",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL jit = off",
)
_BOOKS = """
    SELECT state, count(*) AS number, count(*) FILTER (WHERE {answered}) AS answered,
           count(*) FILTER (WHERE {answered} AND NOT coalesce(complete, false)) AS partial, max(position) AS latest
      FROM commands c WHERE action_id = %(action)s GROUP BY state
"""
_ANSWERED = "c.results_size > 2 AND c.position <= %(until)s"
# An empty list has two bytes; to look into the results would read each of them.


class PostgresAnswerRows:
    """:class:`mig_core.store.base.AnswerRows` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stack(self, action: ActionId, wish: StackWish, *, now: datetime) -> Stack:
        """See the protocol."""
        until, offset = _read_offset(wish.cursor)

        async def work(cursor: Cursor) -> Stack:
            reading = await _begin(cursor, action, until)
            values = Values()
            groups = [fact_sql(one, values) for one in wish.group_by]
            statement = _stack_statement(wish, values, groups, now)
            parameters = {**values.by_name, **reading.parameters, "limit": wish.limit, "offset": offset}
            parameters["bytes"] = MAX_PAGE_BYTES
            await _execute(cursor, statement, parameters)
            found = await cursor.fetchall()
            totals = found[0]
            entries = [one for one in found if one["endpoints"] is not None]
            following = offset + len(entries)
            kinds = _kinds(wish.choice, wish.columns)
            more = bool(entries) and following < entries[0]["different"]
            return Stack(
                columns=wish.columns,
                entries=tuple(_stacked(one, len(groups), kinds) for one in entries),
                values=entries[0]["different"] if entries else 0,
                rows=totals["matching_rows"] or 0,
                answered_by_group=await _answered_by_group(cursor, reading.parameters, wish.group_by),
                cursor=write_cursor(str(reading.until), str(following)) if more else "",
                account=reading.account(totals),
            )

        return await self._database.transaction(work)

    async def rows(self, action: ActionId, wish: RowsWish, *, now: datetime) -> RowPage:
        """See the protocol."""
        columns = wish.columns or tuple(one.name for one in wish.choice.fields())
        if wish.sort:
            return await self._sorted(action, wish, columns, now)
        return await self._in_order(action, wish, columns, now)

    async def _sorted(self, action: ActionId, wish: RowsWish, columns: tuple[str, ...], now: datetime) -> RowPage:
        until, offset = _read_offset(wish.cursor)
        kinds = _kinds(wish.choice, columns)

        async def work(cursor: Cursor) -> RowPage:
            reading = await _begin(cursor, action, until)
            values = Values()
            keys: list[sql.Composable] = []
            for index, one in enumerate(wish.sort):
                direction = sql.SQL("DESC" if one.descending else "ASC")
                names = ["agent_name"] if one.column == "agent" else [f"number{index}", f"text{index}"]
                keys += [sql.SQL("{} {} NULLS LAST").format(sql.Identifier(name), direction) for name in names]
            sorting = tuple(one.column for one in wish.sort)
            branches = _rows_branches(wish.choice, columns, sorting, values, now)
            statement = sql.SQL("""
                WITH page AS (SELECT * FROM ({branches}) AS found
                              ORDER BY {keys}, agent_name, agent_id, operation, place
                              LIMIT %(limit)s OFFSET %(offset)s),
                measured AS (SELECT *, row_number() OVER () AS rank,
                                    count(*) OVER () AS whole,
                                    sum(octet_length(array_to_string(cells, '')))
                                        OVER (ROWS UNBOUNDED PRECEDING) AS size FROM page)
                SELECT agent_id, agent_name, operation, cells, whole FROM measured
                 WHERE size <= %(bytes)s OR rank = 1 ORDER BY rank
            """).format(branches=sql.SQL(" UNION ALL ").join(branches), keys=sql.SQL(", ").join(keys))
            parameters = {**values.by_name, **reading.parameters, "limit": wish.limit + 1, "offset": offset}
            parameters |= {"bytes": MAX_PAGE_BYTES, "first": "", "last": None, "agents": None}
            found = []
            if branches:
                await _execute(cursor, statement, parameters)
                found = await cursor.fetchall()
            shown = found[: wish.limit]
            more = bool(shown) and found[0]["whole"] > len(shown)
            account = None if wish.cursor else await _account(cursor, reading, wish.choice, now)
            following = write_cursor(str(reading.until), str(offset + len(shown))) if more else ""
            return RowPage(columns, tuple(_row(one, kinds) for one in shown), following, account)

        return await self._database.transaction(work)

    async def _in_order(self, action: ActionId, wish: RowsWish, columns: tuple[str, ...], now: datetime) -> RowPage:
        until, name, agent = _read_place(wish.cursor)
        kinds = _kinds(wish.choice, columns)

        async def work(cursor: Cursor) -> RowPage:
            reading = await _begin(cursor, action, until)
            await cursor.execute(
                f"""
                SELECT agent_id, agent_name, results_size FROM (
                    SELECT agent_id, agent_name, results_size, row_number() OVER place AS number,
                           sum(results_size::bigint) OVER place AS bytes
                      FROM commands c
                     WHERE action_id = %(action)s AND {_ANSWERED} AND (agent_name, agent_id) > (%(name)s, %(agent)s)
                    WINDOW place AS (ORDER BY agent_name, agent_id)
                ) AS answers WHERE number <= 1000 AND (bytes <= %(bytes)s OR number = 1) ORDER BY number
                """,  # noqa: S608 - constants
                {**reading.parameters, "name": name, "agent": agent, "bytes": MAX_READ_BYTES},
            )
            answers = await cursor.fetchall()
            account = None if wish.cursor else await _account(cursor, reading, wish.choice, now)
            if not answers:
                return RowPage(columns, (), "", account)
            values = Values()
            branches = _rows_branches(wish.choice, columns, (), values, now)
            found = []
            if branches:
                statement = sql.SQL(
                    "SELECT * FROM ({}) AS found ORDER BY agent_name, agent_id, operation, place"
                ).format(sql.SQL(" UNION ALL ").join(branches))
                parameters = {**values.by_name, **reading.parameters, "agents": [one["agent_id"] for one in answers]}
                await _execute(cursor, statement, parameters)
                found = await cursor.fetchall()
            end = answers[-1]
            following = write_cursor(str(reading.until), end["agent_name"], end["agent_id"])
            return RowPage(columns, tuple(_row(one, kinds) for one in found), following, account)

        return await self._database.transaction(work)


class _Reading:
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


async def _begin(cursor: Cursor, action: ActionId, until: int | None) -> _Reading:
    """Opens the snapshot and looks at the books.

    Raises:
        NotFound
    """
    for one in _SETTINGS:
        await cursor.execute(one)
    identifier = as_uuid(action)
    await cursor.execute("SELECT 1 AS known FROM actions WHERE id = %s", (identifier,))
    if await cursor.fetchone() is None:
        raise NotFound("action", action)
    largest = (1 << 63) - 1
    await cursor.execute(
        _BOOKS.format(answered=_ANSWERED), {"action": identifier, "until": largest if until is None else until}
    )
    return _Reading(identifier, until, await cursor.fetchall())


async def _execute(cursor: Cursor, statement: sql.Composed, parameters: dict[str, object]) -> None:
    try:
        await cursor.execute(statement, parameters)
    except errors.QueryCanceled as error:
        raise InvalidDocument(
            "request", f"takes longer than {SECONDS} s", path="where", next_step="ask for fewer columns or values"
        ) from error


def _sources(choice: Choice, values: Values) -> list[tuple[int, Shape, RowSource, Condition | None]]:
    conditions = choice.conditions or (None,) * len(choice.shapes)
    return [
        (index, shape, RowSource(shape, index, values), condition)
        for index, (shape, condition) in enumerate(zip(choice.shapes, conditions, strict=True))
        if shape is not None and shape.fields
    ]


def _verdict(source: RowSource, condition: Condition | None, values: Values, now: datetime) -> sql.Composable:
    if condition is None:
        return sql.SQL(str(MATCHES))
    compiled = Conditions(source, values, now)
    return sql.SQL("(CASE WHEN {0} THEN 1 WHEN ({0}) IS NULL AND {1} THEN 2 ELSE 0 END)").format(
        compiled.compile(condition), compiled.undecided(condition)
    )


def _found(
    choice: Choice, columns: Sequence[str], groups: Sequence[sql.Composable], values: Values, now: datetime
) -> sql.Composable:
    """For each answer: its rows by verdict and cells, with their number. Agents are numbered by their names."""
    branches = []
    for _, _, source, condition in _sources(choice, values):
        verdict = _verdict(source, condition, values, now)
        cells = [source.cell(one) for one in columns]
        names = [sql.Identifier(f"c{index}") for index in range(len(cells))]
        # Rows that are not meant are one group each answer, whatever is in them.
        kept = [sql.SQL("CASE WHEN v = 1 THEN {} END").format(one) for one in names] if condition else names
        grouped = sql.SQL("SELECT {columns}, count(*) AS n FROM ({inner}) AS judged GROUP BY {by}").format(
            columns=sql.SQL(", ").join([sql.SQL("v"), *_named(kept, "c")]),
            inner=sql.SQL("SELECT {} FROM {} AS r").format(
                sql.SQL(", ").join([sql.SQL("{} AS v").format(verdict), *_named(cells, "c")]), source.rows()
            ),
            by=sql.SQL(", ").join([sql.SQL("v"), *kept]),
        )
        agents = sql.SQL("JOIN agents a ON a.id = c.agent_id" if groups or needs_agents(condition) else "")
        branches.append(
            sql.SQL("SELECT {columns}, s.* FROM ({answers}) AS c {agents} CROSS JOIN LATERAL ({grouped}) AS s").format(
                columns=sql.SQL(", ").join([sql.SQL("c.rank"), *_named(groups, "g")]),
                answers=sql.SQL(_ANSWERS),
                agents=agents,
                grouped=grouped,
            )
        )
    return sql.SQL(" UNION ALL ").join(branches) if branches else _nothing(len(columns), len(groups))


_ANSWERS = f"""
    SELECT c.agent_id, c.agent_name, c.found, c.results,
           (row_number() OVER (ORDER BY c.agent_name, c.agent_id))::int AS rank
      FROM commands c WHERE c.action_id = %(action)s AND {_ANSWERED}
"""  # noqa: S608 - constants
_TOTALS = f"""
    SELECT (sum(rows) FILTER (WHERE v = 1))::bigint AS matching_rows, count(*) FILTER (WHERE v = 1) AS with_rows,
           (sum(rows) FILTER (WHERE v = 2))::bigint AS undecided_rows, count(*) FILTER (WHERE v = 2) AS undecided,
           (SELECT count(*) FROM ({_ANSWERS}) AS c WHERE c.found
               AND c.rank NOT IN (SELECT rank FROM summed WHERE by_value = 0)) AS unreadable
      FROM summed WHERE by_value = 0
"""  # noqa: S608 - constants


def _named(expressions: Sequence[sql.Composable], letter: str) -> list[sql.Composable]:
    return [
        sql.SQL("{} AS {}").format(one, sql.Identifier(f"{letter}{index}")) for index, one in enumerate(expressions)
    ]


def _nothing(columns: int, groups: int) -> sql.Composable:
    """A relation like :func:`_found`'s without rows, for an action whose operations have none."""
    names = [f"g{index}" for index in range(groups)] + [f"c{index}" for index in range(columns)]
    texts = "".join(f", NULL::text AS {one}" for one in names)
    return sql.SQL(f"SELECT 0 AS rank, 0 AS v{texts}, 0::bigint AS n WHERE false")


def _summed(branches: sql.Composable, names: Sequence[str], *, several: bool) -> sql.Composable:
    """One pass over what was found: by value, and by agent (``by_value`` is 0) for the account."""
    return sql.SQL("""
        summed AS MATERIALIZED (
            SELECT {names} v, rank, GROUPING(rank) AS by_value, {endpoints} AS endpoints, sum(n)::bigint AS rows,
                   min(rank) AS least, max(rank) AS most
              FROM ({branches}) AS found GROUP BY GROUPING SETS (({names} v), (v, rank)))
    """).format(
        names=sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(one)) for one in names),
        endpoints=sql.SQL("count(DISTINCT rank)" if several else "count(*)"),
        branches=branches,
    )


def _stack_statement(wish: StackWish, values: Values, groups: Sequence[sql.Composable], now: datetime) -> sql.Composed:
    names = [f"g{index}" for index in range(len(groups))] + [f"c{index}" for index in range(len(wish.columns))]
    keys = [sql.Identifier(one) for one in names]
    several = sum(1 for one in wish.choice.shapes if one is not None) > 1
    ties = [sql.SQL("NULLIF({0}, '') COLLATE \"C\", {0} IS NULL").format(key) for key in keys]
    return sql.SQL("""
        WITH {summed}, totals AS ({totals}),
        page AS (SELECT {keys} endpoints, rows, least, most, count(*) OVER () AS different
                   FROM summed WHERE by_value = 1 AND v = 1 ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s),
        measured AS (SELECT *, row_number() OVER () AS place,
                            sum(octet_length(page::text)) OVER (ROWS UNBOUNDED PRECEDING) AS size FROM page),
        named AS (SELECT rank, agent_name FROM ({answers}) AS answers)
        SELECT totals.*, {keys} endpoints, rows, one.agent_name AS first, other.agent_name AS last, different
          FROM totals LEFT JOIN measured ON size <= %(bytes)s OR place = 1
          LEFT JOIN named AS one ON one.rank = least LEFT JOIN named AS other ON other.rank = most ORDER BY place
    """).format(
        summed=_summed(_found(wish.choice, wish.columns, groups, values, now), names, several=several),
        totals=sql.SQL(_TOTALS),
        keys=sql.SQL("").join(sql.SQL("{}, ").format(one) for one in keys),
        order=sql.SQL(", ").join([sql.SQL("endpoints ASC" if wish.rare else "endpoints DESC"), *ties]),
        answers=sql.SQL(_ANSWERS),
    )


def _rows_branches(
    choice: Choice, columns: Sequence[str], sorting: Sequence[str], values: Values, now: datetime
) -> Sequence[sql.Composable]:
    """Rows that are meant, operation by operation: ``cells`` is an array of JSON texts."""
    branches = []
    for index, _, source, condition in _sources(choice, values):
        cells = [source.cell(one) for one in columns]
        sorts = []
        for number, name in enumerate(sorting):
            if name != "agent":
                key = sort_key(source.cell(name), source.kind(name))
                numeric = source.kind(name) in NUMBERS
                pair = (key, "NULL::text") if numeric else ("NULL::numeric", sql.SQL("({})::text").format(key))
                texts = [sql.SQL(one) if isinstance(one, str) else one for one in pair]
                sorts.append(
                    sql.SQL('{} AS {}, {} COLLATE "C" AS {}').format(
                        texts[0], sql.Identifier(f"number{number}"), texts[1], sql.Identifier(f"text{number}")
                    )
                )
        verdict = _verdict(source, condition, values, now)
        place = sql.SQL("ARRAY[{}]::bigint[]").format(sql.SQL(", ").join(source.order()))
        branches.append(
            sql.SQL(
                "SELECT c.agent_id, c.agent_name, {operation} AS operation, {place} AS place, {cells} AS cells {sorts}"
                " FROM commands c {agents} CROSS JOIN LATERAL {rows} AS r"
                " WHERE c.action_id = %(action)s AND {answered}"
                " AND (%(agents)s::text[] IS NULL OR c.agent_id = ANY(%(agents)s::text[])) AND {verdict} = 1"
            ).format(
                operation=sql.Literal(index),
                place=place,
                cells=sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(cells)),
                sorts=sql.SQL("").join(sql.SQL(", {}").format(one) for one in sorts),
                agents=sql.SQL("JOIN agents a ON a.id = c.agent_id" if needs_agents(condition) else ""),
                rows=source.rows(),
                answered=sql.SQL(_ANSWERED),
                verdict=verdict,
            )
        )
    return branches


async def _account(cursor: Cursor, reading: _Reading, choice: Choice, now: datetime) -> Account:
    values = Values()
    several = sum(1 for one in choice.shapes if one is not None) > 1
    statement = sql.SQL("WITH {} {}").format(
        _summed(_found(choice, (), (), values, now), (), several=several), sql.SQL(_TOTALS)
    )
    await _execute(cursor, statement, {**values.by_name, **reading.parameters})
    totals = await cursor.fetchone()
    return reading.account(totals or {})


async def _answered_by_group(
    cursor: Cursor, parameters: dict[str, object], facts: Sequence[Fact]
) -> dict[tuple[str | None, ...], int]:
    values = Values()
    groups = [fact_sql(one, values) for one in facts]
    named = [sql.SQL("{} AS {}").format(one, sql.Identifier(f"g{index}")) for index, one in enumerate(groups)]
    await cursor.execute(
        sql.SQL(
            "SELECT {named} count(*) AS number FROM commands c JOIN agents a ON a.id = c.agent_id"
            " WHERE c.action_id = %(action)s AND {answered} {by}"
        ).format(
            named=sql.SQL("").join(sql.SQL("{}, ").format(one) for one in named),
            answered=sql.SQL(_ANSWERED),
            by=sql.SQL("GROUP BY {}").format(sql.SQL(", ").join(sql.Identifier(f"g{at}") for at in range(len(groups))))
            if groups
            else sql.SQL(""),
        ),
        {**values.by_name, **parameters},
    )
    return {tuple(one[f"g{index}"] for index in range(len(groups))): one["number"] for one in await cursor.fetchall()}


def _stacked(row: dict[str, object], groups: int, kinds: Sequence[ColumnKind]) -> Stacked:
    def text(name: str) -> str | None:
        return None if row[name] is None else str(row[name])

    return Stacked(
        groups=tuple(text(f"g{index}") for index in range(groups)),
        cells=tuple(json_of(text(f"c{index}"), kind) for index, kind in enumerate(kinds)),
        endpoints=int(str(row["endpoints"])),
        rows=int(str(row["rows"])),
        first=str(row["first"]),
        last=str(row["last"]),
    )


def _kinds(choice: Choice, columns: Sequence[str]) -> list[ColumnKind]:
    known = {one.name: one.kind for one in choice.fields()}
    return [known[one] for one in columns]


def _row(row: dict[str, Any], kinds: Sequence[ColumnKind]) -> tuple[str, str, int, tuple[str, ...]]:
    cells = tuple(json_of(cell, kind) for cell, kind in zip(row["cells"], kinds, strict=True))
    return row["agent_id"], row["agent_name"], row["operation"], cells


def _read_offset(cursor: str) -> tuple[int | None, int]:
    if not cursor:
        return None, 0
    until, offset = read_cursor(cursor, parts=2)
    return _number(until), _number(offset)


def _read_place(cursor: str) -> tuple[int | None, str, str]:
    if not cursor:
        return None, "", ""
    until, name, agent = read_cursor(cursor, parts=3)
    return _number(until), name, agent


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidDocument("cursor", "was not given out by this list", next_step="begin again without a cursor")
    return int(text)
