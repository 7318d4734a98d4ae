"""Statements over the rows of answers: what :mod:`.row_sql` makes of shapes and conditions, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from mig_core.domain.column_kind import NUMBERS
from mig_core.store.answer_reading import ANSWERED
from mig_core.store.row_sql import Conditions, RowSource, Values, needs_agents, sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.reading.reading import Choice, StackWish
    from mig_core.domain.reading.shape import Shape
    from mig_core.domain.reading.where import Condition


def _sources(choice: Choice, values: Values) -> list[tuple[int, Shape, RowSource, Condition | None]]:
    conditions = choice.conditions or (None,) * len(choice.shapes)
    return [
        (index, shape, RowSource(shape, index, values), condition)
        for index, (shape, condition) in enumerate(zip(choice.shapes, conditions, strict=True))
        if shape is not None and shape.fields
    ]


def _verdict(source: RowSource, condition: Condition | None, values: Values, now: datetime) -> sql.Composable:
    if condition is None:
        return sql.SQL("1")
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
            columns=sql.SQL(", ").join([sql.SQL("v"), *found_named(kept, "c")]),
            inner=sql.SQL("SELECT {} FROM {} AS r").format(
                sql.SQL(", ").join([sql.SQL("{} AS v").format(verdict), *found_named(cells, "c")]), source.rows()
            ),
            by=sql.SQL(", ").join([sql.SQL("v"), *kept]),
        )
        agents = sql.SQL("JOIN agents a ON a.id = c.agent_id" if groups or needs_agents(condition) else "")
        branches.append(
            sql.SQL("SELECT {columns}, s.* FROM ({answers}) AS c {agents} CROSS JOIN LATERAL ({grouped}) AS s").format(
                columns=sql.SQL(", ").join([sql.SQL("c.rank"), *found_named(groups, "g")]),
                answers=sql.SQL(_ANSWERS),
                agents=agents,
                grouped=grouped,
            )
        )
    return sql.SQL(" UNION ALL ").join(branches) if branches else _nothing(len(columns), len(groups))


_ANSWERS = f"""
    SELECT c.agent_id, c.agent_name, c.found, c.results,
           (row_number() OVER (ORDER BY c.agent_name, c.agent_id))::int AS rank
      FROM commands c WHERE c.action_id = %(action)s AND {ANSWERED}
"""  # noqa: S608 - constants
_TOTALS = f"""
    SELECT (sum(rows) FILTER (WHERE v = 1))::bigint AS matching_rows, count(*) FILTER (WHERE v = 1) AS with_rows,
           (sum(rows) FILTER (WHERE v = 2))::bigint AS undecided_rows, count(*) FILTER (WHERE v = 2) AS undecided,
           (SELECT count(*) FROM ({_ANSWERS}) AS c WHERE c.found
               AND c.rank NOT IN (SELECT rank FROM summed WHERE by_value = 0)) AS unreadable
      FROM summed WHERE by_value = 0
"""  # noqa: S608 - constants


def found_named(expressions: Sequence[sql.Composable], letter: str) -> list[sql.Composable]:
    """The expressions as columns ``c0``, ``c1`` …"""
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


def stack_statement(wish: StackWish, values: Values, groups: Sequence[sql.Composable], now: datetime) -> sql.Composed:
    """Values with their endpoints, and the totals, which are there without any value too."""
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


def row_branches(
    choice: Choice,
    columns: Sequence[str],
    sorting: Sequence[str],
    values: Values,
    now: datetime,
    *,
    names: tuple[str, str] = ("action", "until"),
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
                " WHERE c.action_id = {action} AND c.results_size > 2 AND c.position <= {until}"
                " AND (%(agents)s::text[] IS NULL OR c.agent_id = ANY(%(agents)s::text[])) AND {verdict} = 1"
            ).format(
                operation=sql.Literal(index),
                place=place,
                cells=sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(cells)),
                sorts=sql.SQL("").join(sql.SQL(", {}").format(one) for one in sorts),
                agents=sql.SQL("JOIN agents a ON a.id = c.agent_id" if needs_agents(condition) else ""),
                rows=source.rows(),
                action=sql.Placeholder(names[0]),
                until=sql.Placeholder(names[1]),
                verdict=verdict,
            )
        )
    return branches


def account_statement(choice: Choice, values: Values, now: datetime) -> sql.Composed:
    """The totals alone."""
    several = sum(1 for one in choice.shapes if one is not None) > 1
    return sql.SQL("WITH {} {}").format(
        _summed(_found(choice, (), (), values, now), (), several=several), sql.SQL(_TOTALS)
    )
