"""Compiles a target's tree to PostgreSQL: a boolean expression over ``agents a``, every value of it a parameter.

The text of the statement is put together from the constant pieces in this file only; what an investigator wrote reaches
the database as bound parameters (column names come from the closed list in ``mig_core.domain.target.names``).
Texts compare under ``COLLATE "C"``, so that a database's locale changes nothing and Python gives the same answer.

Expects of the schema: ``agents(id, name, version, mode, status, relay text, pid integer, heartbeat_at, started_at
timestamptz, environment, tags jsonb not null, addresses inet[] not null)`` and ``commands(action_id uuid, agent_id
text, state text, found boolean)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from mig_core.domain.target.regex import parse_regex
from mig_core.domain.target.regex_tree import to_postgres
from mig_core.domain.target.tree import (
    AddressWithin,
    And,
    Answer,
    Answered,
    Column,
    Comparison,
    Everything,
    FromNow,
    In,
    IsNull,
    JsonText,
    Kind,
    Like,
    Matches,
    Node,
    Not,
    Or,
)

if TYPE_CHECKING:
    from mig_core.domain.target import Target
    from mig_core.domain.target.tree import Operand, Predicate, Value

_COLUMNS = {
    "id": sql.SQL("a.id"),
    "name": sql.SQL("a.name"),
    "version": sql.SQL("a.version"),
    "mode": sql.SQL("a.mode"),
    "status": sql.SQL("a.status"),
    "relay": sql.SQL("a.relay"),
    "pid": sql.SQL("a.pid"),
    "heartbeat_at": sql.SQL("a.heartbeat_at"),
    "started_at": sql.SQL("a.started_at"),
    "environment": sql.SQL("a.environment"),
    "tags": sql.SQL("a.tags"),
}
_COMPARATORS = {
    "=": sql.SQL("{} = {}"),
    "<": sql.SQL("{} < {}"),
    "<=": sql.SQL("{} <= {}"),
    ">": sql.SQL("{} > {}"),
    ">=": sql.SQL("{} >= {}"),
}
_ARRAYS = {
    Kind.TEXT: sql.SQL("{} = ANY(%s::text[])"),
    Kind.INTEGER: sql.SQL("{} = ANY(%s::bigint[])"),
}
_PARAMETERS = {
    Kind.TEXT: sql.SQL("%s::text"),
    Kind.INTEGER: sql.SQL("%s::bigint"),
    Kind.TIME: sql.SQL("%s::timestamptz"),
}
_FROM_NOW = sql.SQL("(now() + make_interval(secs => %s::double precision))")
_ADDRESS = sql.SQL(
    "EXISTS (SELECT 1 FROM unnest(a.addresses) AS own(address), unnest(%s::inet[]) AS asked(network)"
    " WHERE host(own.address)::inet <<= asked.network)"
)
_ANSWERED = {
    Answer.FOUND: sql.SQL(
        "EXISTS (SELECT 1 FROM commands c WHERE c.action_id = %s::uuid AND c.agent_id = a.id AND c.found)"
    ),
    Answer.NOTFOUND: sql.SQL(
        "EXISTS (SELECT 1 FROM commands c WHERE c.action_id = %s::uuid AND c.agent_id = a.id"
        " AND c.state = 'success' AND NOT c.found)"
    ),
    Answer.NOANSWER: sql.SQL(
        "EXISTS (SELECT 1 FROM commands c WHERE c.action_id = %s::uuid AND c.agent_id = a.id AND c.state <> 'success')"
    ),
}


def compile_target(target: Target) -> tuple[sql.Composed, list[object]]:
    """A condition over the table alias ``a`` (agents) and the parameters of its ``%s``, in order.

    Use: ``sql.SQL("SELECT a.id FROM agents a WHERE {}").format(condition)`` with the parameters. ``now()`` is the
    start of the transaction.
    """
    parameters: list[object] = []
    return sql.Composed([_compile(target.tree, parameters)]), parameters


def _compile(node: Node, parameters: list[object]) -> sql.Composable:
    match node:
        case Everything():
            return sql.SQL("TRUE")
        case Not(item):
            return sql.SQL("(NOT {})").format(_compile(item, parameters))
        case And(items):
            return sql.SQL("({})").format(sql.SQL(" AND ").join(_compile(item, parameters) for item in items))
        case Or(items):
            return sql.SQL("({})").format(sql.SQL(" OR ").join(_compile(item, parameters) for item in items))
        case _:
            return _predicate(node, parameters)


def _predicate(node: Predicate, parameters: list[object]) -> sql.Composable:
    match node:
        case Comparison(operand, comparator, value):
            left = _operand(operand, parameters)
            return sql.SQL("({})").format(
                _COMPARATORS[comparator].format(left, _value(value, operand.kind, parameters))
            )
        case In(operand, values):
            return _in(operand, values, parameters)
        case Like(operand, pattern, ignore_case):
            left = _operand(operand, parameters)
            parameters.append(pattern)
            return (sql.SQL("({} ILIKE %s::text)") if ignore_case else sql.SQL("({} LIKE %s::text)")).format(left)
        case Matches(operand, pattern, ignore_case):
            left = _operand(operand, parameters)
            parameters.append(to_postgres(parse_regex(pattern, ignore_case=ignore_case)))
            return sql.SQL("({} ~ %s::text)").format(left)
        case IsNull(operand):
            return sql.SQL("({} IS NULL)").format(_operand(operand, parameters))
        case AddressWithin(networks):
            parameters.append(list(networks))
            return _ADDRESS
        case Answered(answer, action):
            parameters.append(action)
            return _ANSWERED[answer]


def _operand(operand: Operand, parameters: list[object]) -> sql.Composable:
    match operand:
        case Column(name, Kind.TEXT):
            return sql.SQL('({} COLLATE "C")').format(_COLUMNS[name])
        case Column(name):
            return _COLUMNS[name]
        case JsonText(column, path):
            parameters.extend(path)
            steps = sql.SQL("").join([sql.SQL(" -> %s::text")] * (len(path) - 1))
            return sql.SQL('(({}{} ->> %s::text) COLLATE "C")').format(_COLUMNS[column], steps)


def _in(operand: Operand, values: tuple[Value, ...], parameters: list[object]) -> sql.Composable:
    if operand.kind is Kind.TIME:  # some values may be relative to now(): one expression each
        left = _operand(operand, parameters)
        items = sql.SQL(", ").join(_value(value, Kind.TIME, parameters) for value in values)
        return sql.SQL("({} IN ({}))").format(left, items)
    left = _operand(operand, parameters)
    parameters.append(list(values))
    return sql.SQL("({})").format(_ARRAYS[operand.kind].format(left))


def _value(value: Value, kind: Kind, parameters: list[object]) -> sql.Composable:
    if isinstance(value, FromNow):
        parameters.append(value.offset.total_seconds())
        return _FROM_NOW
    parameters.append(value)
    return _PARAMETERS[kind]
