"""Rows and stacks of an action's answers, made where the answers lie.

One transaction reads one snapshot. Of pages that belong together all see the same answers: the cursor carries the
position up to which answers count (:meth:`mig_core.store.base.Commands.finished_since`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from mig_core.store.answer_diff import read_diff
from mig_core.store.answer_reading import (
    ANSWERED,
    MAX_PAGE_BYTES,
    MAX_READ_BYTES,
    begin_reading,
    execute,
    kinds_of,
    number_of,
)
from mig_core.store.answer_sql import account_statement, row_branches, stack_statement
from mig_core.store.encoding import read_cursor, write_cursor
from mig_core.store.found_rows import Account, RowPage, Stack, Stacked
from mig_core.store.row_sql import Values, fact_sql, json_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.column_kind import ColumnKind
    from mig_core.domain.ids import ActionId
    from mig_core.domain.reading.reading import Choice, DiffWish, RowsWish, StackWish
    from mig_core.domain.reading.where import Fact
    from mig_core.store.answer_reading import Reading
    from mig_core.store.database import Cursor, Database
    from mig_core.store.found_rows import Diff


class PostgresAnswerRows:
    """:class:`mig_core.store.base.AnswerRows` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stack(self, action: ActionId, wish: StackWish, *, now: datetime) -> Stack:
        """See the protocol."""
        until, offset = _read_offset(wish.cursor)

        async def work(cursor: Cursor) -> Stack:
            reading = await begin_reading(cursor, action, until)
            values = Values()
            groups = [fact_sql(one, values) for one in wish.group_by]
            statement = stack_statement(wish, values, groups, now)
            parameters = {**values.by_name, **reading.parameters, "limit": wish.limit, "offset": offset}
            parameters["bytes"] = MAX_PAGE_BYTES
            await execute(cursor, statement, parameters)
            found = await cursor.fetchall()
            totals = found[0]
            entries = [one for one in found if one["endpoints"] is not None]
            following = offset + len(entries)
            kinds = kinds_of(wish.choice, wish.columns)
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

        return await self._database.snapshot(work)

    async def diff(self, earlier: ActionId, later: ActionId, wish: DiffWish, *, now: datetime) -> Diff:
        """See the protocol."""
        return await self._database.snapshot(lambda cursor: read_diff(cursor, earlier, later, wish, now=now))

    async def rows(self, action: ActionId, wish: RowsWish, *, now: datetime) -> RowPage:
        """See the protocol."""
        columns = wish.columns or tuple(one.name for one in wish.choice.fields())
        if wish.sort:
            return await self._sorted(action, wish, columns, now)
        return await self._in_order(action, wish, columns, now)

    async def _sorted(self, action: ActionId, wish: RowsWish, columns: tuple[str, ...], now: datetime) -> RowPage:
        until, offset = _read_offset(wish.cursor)
        kinds = kinds_of(wish.choice, columns)

        async def work(cursor: Cursor) -> RowPage:
            reading = await begin_reading(cursor, action, until)
            values = Values()
            keys: list[sql.Composable] = []
            for index, one in enumerate(wish.sort):
                direction = sql.SQL("DESC" if one.descending else "ASC")
                names = ["agent_name"] if one.column == "agent" else [f"number{index}", f"text{index}"]
                keys += [sql.SQL("{} {} NULLS LAST").format(sql.Identifier(name), direction) for name in names]
            sorting = tuple(one.column for one in wish.sort)
            branches = row_branches(wish.choice, columns, sorting, values, now)
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
                await execute(cursor, statement, parameters)
                found = await cursor.fetchall()
            shown = found[: wish.limit]
            more = bool(shown) and found[0]["whole"] > len(shown)
            account = None if wish.cursor else await _account(cursor, reading, wish.choice, now)
            following = write_cursor(str(reading.until), str(offset + len(shown))) if more else ""
            return RowPage(columns, tuple(_row(one, kinds) for one in shown), following, account)

        return await self._database.snapshot(work)

    async def _in_order(self, action: ActionId, wish: RowsWish, columns: tuple[str, ...], now: datetime) -> RowPage:
        until, name, agent = _read_place(wish.cursor)
        kinds = kinds_of(wish.choice, columns)

        async def work(cursor: Cursor) -> RowPage:
            reading = await begin_reading(cursor, action, until)
            await cursor.execute(
                f"""
                SELECT agent_id, agent_name, results_size FROM (
                    SELECT agent_id, agent_name, results_size, row_number() OVER place AS number,
                           sum(results_size::bigint) OVER place AS bytes
                      FROM commands c
                     WHERE action_id = (SELECT id FROM actions WHERE id = %(action)s) AND {ANSWERED}
                       AND (agent_name, agent_id) > (%(name)s, %(agent)s)
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
            branches = row_branches(wish.choice, columns, (), values, now)
            found = []
            if branches:
                statement = sql.SQL(
                    "SELECT * FROM ({}) AS found ORDER BY agent_name, agent_id, operation, place"
                ).format(sql.SQL(" UNION ALL ").join(branches))
                parameters = {**values.by_name, **reading.parameters, "agents": [one["agent_id"] for one in answers]}
                await execute(cursor, statement, parameters)
                found = await cursor.fetchall()
            end = answers[-1]
            following = write_cursor(str(reading.until), end["agent_name"], end["agent_id"])
            return RowPage(columns, tuple(_row(one, kinds) for one in found), following, account)

        return await self._database.snapshot(work)


async def _account(cursor: Cursor, reading: Reading, choice: Choice, now: datetime) -> Account:
    values = Values()
    statement = account_statement(choice, values, now)
    await execute(cursor, statement, {**values.by_name, **reading.parameters})
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
            answered=sql.SQL(ANSWERED),
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


def _row(row: dict[str, Any], kinds: Sequence[ColumnKind]) -> tuple[str, str, int, tuple[str, ...]]:
    cells = tuple(json_of(cell, kind) for cell, kind in zip(row["cells"], kinds, strict=True))
    return row["agent_id"], row["agent_name"], row["operation"], cells


def _read_offset(cursor: str) -> tuple[int | None, int]:
    if not cursor:
        return None, 0
    until, offset = read_cursor(cursor, parts=2)
    return number_of(until), number_of(offset)


def _read_place(cursor: str) -> tuple[int | None, str, str]:
    if not cursor:
        return None, "", ""
    until, name, agent = read_cursor(cursor, parts=3)
    return number_of(until), name, agent
