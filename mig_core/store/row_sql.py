"""Compiles shapes and conditions to PostgreSQL: rows that lie in ``commands.results``, cells, tests of cells.

The text of the statement is put together from the constant pieces in this file; whatever an investigator sent (names of
members, values, expressions) is a bound parameter. Elements come from endpoints: nothing here can fail on any of them,
so every cast stands behind a test of what is cast.

A cell is a text: NULL where the row has no value, empty where it is not known (no value is an empty text:
:func:`mig_core.plugin.cells.read_cell`); of texts the text, of all else its JSON. Texts are grouped faster than jsonb.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg import sql

from mig_core.domain.column_kind import NUMBERS, ColumnKind
from mig_core.domain.reading.where import All, Any, Cell, Fact, Not, Operator, Test
from mig_core.domain.target.regex import parse_regex
from mig_core.domain.target.regex_tree import to_postgres
from mig_core.domain.target.tree import FromNow

if TYPE_CHECKING:
    from mig_core.domain.reading.shape import Field, Shape
    from mig_core.domain.reading.where import Condition, Value

_HEX = re.compile(r"[0-9A-Fa-f:]+")
_GO_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})? [+]0000 UTC$"
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$"
_V4 = r"((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_H = "[0-9a-f]{1,4}"
_V6 = (
    f"({_H}:){{7}}{_H}|({_H}:){{1,7}}:|({_H}:){{1,6}}:{_H}|({_H}:){{1,5}}(:{_H}){{1,2}}|({_H}:){{1,4}}(:{_H}){{1,3}}"
    f"|({_H}:){{1,3}}(:{_H}){{1,4}}|({_H}:){{1,2}}(:{_H}){{1,5}}|{_H}:(:{_H}){{1,6}}|:(:{_H}){{1,7}}|::"
)
_CONSTANTS = {
    "go_time": _GO_TIME,
    "moment": _MOMENT,
    "v4": f"^{_V4}$",
    "mapped": f"^::ffff:{_V4}$",
    "v6": f"^({_V6})$",
    "hex": "^[0-9A-Fa-f:]+$",
}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_FORMS = dict.fromkeys(NUMBERS, _NUMBER) | {
    ColumnKind.BOOLEAN: re.compile("true|false"),
    ColumnKind.LIST: re.compile(r"\[.*\]", re.DOTALL),
}
"""What cells look like that are JSON already."""
_TYPES = dict.fromkeys(NUMBERS, "number") | {ColumnKind.BOOLEAN: "boolean", ColumnKind.LIST: "array"}

NO_VALUE = sql.SQL('(NULL::text COLLATE "C")')
_STRINGS = frozenset(ColumnKind) - NUMBERS - {ColumnKind.BOOLEAN, ColumnKind.LIST}


class Values:
    """The parameters of one statement, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, object] = dict(_CONSTANTS)

    def add(self, value: object) -> sql.Composable:
        """The placeholder of one more value."""
        name = f"p{len(self.by_name)}"
        self.by_name[name] = value
        return sql.Placeholder(name)


class RowSource:
    """The rows of one operation: what to join to ``commands c``, and its cells.

    Args:
        operation: its index in the action.
    """

    def __init__(self, shape: Shape, operation: int, values: Values) -> None:
        self._shape = shape
        self._values = values
        self._keys: list[sql.Composable] = []
        self._joins: list[sql.Composable] = []
        self._numbers: list[sql.Composable] = []
        self._used: dict[str, tuple[Field, str]] = {}
        place: sql.Composable = sql.SQL("(c.results -> {} -> 'elements')").format(sql.Literal(operation))
        for index, step in enumerate(shape.steps):
            if step.name == "*":
                place = self._join("jsonb_each", "object", "{{}}", place, f"k{index}", "key, value, number")
                self._keys.append(sql.Identifier(f"k{index}", "key"))
            elif step.name:
                place = sql.SQL("({} -> {}::text)").format(place, values.add(step.name))
            if step.each:
                place = self._join("jsonb_array_elements", "array", "[]", place, f"e{index}", "value, number")
        self._entry = place

    def _join(
        self, function: str, kind: str, empty: str, place: sql.Composable, alias: str, names: str
    ) -> sql.Composable:
        text = (
            f"CROSS JOIN LATERAL {function}(CASE WHEN jsonb_typeof({{place}}) = '{kind}' THEN {{place}}"
            f" ELSE '{empty}'::jsonb END) WITH ORDINALITY AS {{alias}}({names})"
        )
        self._joins.append(sql.SQL(text).format(place=place, alias=sql.Identifier(alias)))
        self._numbers.append(sql.Identifier(alias, "number"))
        return sql.Identifier(alias, "value")

    def rows(self) -> sql.Composable:
        """A subquery over the rows of ``c``: what :meth:`cell` needs, and where each row stood."""
        columns = [self._raw(field, alias) for field, alias in self._used.values()]
        columns += [
            sql.SQL("{} AS {}").format(one, sql.Identifier(f"n{index}")) for index, one in enumerate(self._numbers)
        ]
        # OFFSET 0: what cells are made of is taken out once, however often conditions and keys name them.
        return sql.SQL("(SELECT {columns} FROM (SELECT 1) AS one {joins} WHERE {is_row} OFFSET 0)").format(
            columns=sql.SQL(", ").join(columns or [sql.SQL("1 AS one")]),
            joins=sql.SQL(" ").join(self._joins),
            is_row=self._is_row(),
        )

    def order(self) -> list[sql.Composable]:
        """By what the rows of one answer stand as the agent gave them, in :meth:`rows`."""
        return [sql.Identifier(f"n{index}") for index in range(len(self._numbers))]

    def kind(self, name: str) -> ColumnKind:
        """A column's kind; text where this module has no such column."""
        field = self._shape.field(name)
        return ColumnKind.TEXT if field is None else field.kind

    def cell(self, name: str) -> sql.Composable:
        """A column's cell, in :meth:`rows`; no value where this module has no such column."""
        field = self._shape.field(name)
        if field is None:
            return NO_VALUE
        alias = self._used.setdefault(name, (field, f"x{len(self._used)}"))[1]
        return _cell(field.kind, sql.Identifier(alias), sql.Identifier(f"t{alias}"))

    def _is_row(self) -> sql.Composable:
        tests: list[sql.Composable] = [sql.SQL("jsonb_typeof({}) = 'object'").format(self._entry)]
        always = [one for one in self._shape.fields if one.always]
        for one in always:
            value, text = self._place(one)
            if one.kind in _STRINGS:
                tests.append(sql.SQL("jsonb_typeof({}) = 'string' AND {} <> ''").format(value, text))
            else:  # what is not of its kind counts as not known, and so as missing where it must be there
                tests.append(sql.SQL("{} <> ''").format(_cell(one.kind, value, text)))
        if not always:
            cells = [_cell(one.kind, *self._place(one)) for one in self._shape.fields]
            tests.append(sql.SQL("num_nonnulls({}) > 0").format(sql.SQL(", ").join(cells)))
        return sql.SQL(" AND ").join(tests)

    def _raw(self, field: Field, alias: str) -> sql.Composable:
        value, text = self._place(field)
        return sql.SQL("{} AS {}, {} AS {}").format(value, sql.Identifier(alias), text, sql.Identifier(f"t{alias}"))

    def _place(self, field: Field) -> tuple[sql.Composable, sql.Composable]:
        """What lies where the column says, as jsonb and as text."""
        if field.key:
            key = self._keys[field.key - 1]
            return sql.SQL("to_jsonb({})").format(key), key
        place = self._entry
        for name in field.path[:-1]:
            place = sql.SQL("({} -> {}::text)").format(place, self._values.add(name))
        last = self._values.add(field.path[-1])
        return sql.SQL("({} -> {}::text)").format(place, last), sql.SQL("({} ->> {}::text)").format(place, last)


def _cell(kind: ColumnKind, value: sql.Composable, text: sql.Composable) -> sql.Composable:
    """The cell made of what lies at its place."""
    good = sql.SQL("{1}")
    if kind in (ColumnKind.INTEGER, ColumnKind.SIZE):
        good = sql.SQL("CASE WHEN scale(({0})::numeric) = 0 THEN {1} ELSE '' END")
    elif kind is ColumnKind.LIST:
        good = sql.SQL("CASE WHEN jsonb_path_exists({0}, '$[*] ? (@.type() != \"string\")') THEN '' ELSE {1} END")
    elif kind is ColumnKind.HASH:
        good = sql.SQL(
            'CASE WHEN lower({1} COLLATE "C") <> {1} COLLATE "C" AND {1} ~ %(hex)s THEN lower({1}) ELSE {1} END'
        )
    elif kind is ColumnKind.TIME:
        good = sql.SQL(
            "CASE WHEN {1} ~ %(go_time)s THEN replace(replace({1}, ' +0000 UTC', 'Z'), ' ', 'T') ELSE {1} END"
        )
    return sql.SQL(
        "(CASE WHEN {value} IS NULL OR {text} = '' OR {text} = '[]' AND jsonb_typeof({value}) = 'array' THEN NULL"
        " WHEN jsonb_typeof({value}) = {kind} THEN {good} ELSE '' END COLLATE \"C\")"
    ).format(value=value, text=text, kind=sql.Literal(_TYPES.get(kind, "string")), good=good.format(value, text))


def json_of(cell: str | None, kind: ColumnKind) -> str:
    """A cell as JSON; empty for no value."""
    if not cell:
        return "" if cell is None else "null"
    fits = _FORMS.get(kind)
    # Where two modules have a column of one name and different kinds, what is no such JSON is a text.
    return cell if fits is not None and fits.fullmatch(cell) else json.dumps(cell)


def fact_sql(fact: Fact, values: Values) -> sql.Composable:
    """A fact about the endpoint, as text; needs ``agents a`` unless it is the name."""
    if fact.column == "agent":
        return sql.SQL("(c.agent_name)")
    steps = sql.SQL("").join(sql.SQL(" -> {}::text").format(values.add(one)) for one in fact.path[:-1])
    column = sql.SQL("a.tags" if fact.column == "tags" else "a.environment")
    return sql.SQL('(({}{} ->> {}::text) COLLATE "C")').format(column, steps, values.add(fact.path[-1]))


def sort_key(cell: sql.Composable, kind: ColumnKind) -> sql.Composable:
    """What cells of a kind are compared by; NULL for no value and for one that is not known."""
    text = sql.SQL("NULLIF({}, '')").format(cell)
    if kind in NUMBERS:
        return sql.SQL("({}::numeric)").format(text)
    if kind is ColumnKind.TIME:
        return sql.SQL(
            "(CASE WHEN {0} ~ %(moment)s THEN CASE WHEN strpos({0}, '.') > 0"
            " THEN rtrim(rtrim(rtrim({0}, 'Z'), '0'), '.') ELSE rtrim({0}, 'Z') END END COLLATE \"C\")"
        ).format(text)
    if kind is ColumnKind.ADDRESS:
        return sql.SQL(
            "(CASE WHEN {0} ~ %(v4)s THEN {0}::inet WHEN {0} ~* %(mapped)s THEN substr({0}, 8)::inet"
            " WHEN {0} ~* %(v6)s THEN {0}::inet END)"
        ).format(sql.SQL("split_part(split_part({}, '/', 1), '%%', 1)").format(text))
    return sql.SQL('({} COLLATE "C")').format(text)


def needs_agents(condition: Condition | None) -> bool:
    """Whether a condition asks about more of the endpoint than its name."""
    return any(isinstance(one, Fact) and one.column != "agent" for one in operands(condition))


def operands(condition: Condition | None) -> list[Cell | Fact]:
    """What a condition tests."""
    match condition:
        case None:
            return []
        case Not(item):
            return operands(item)
        case All(parts) | Any(parts):
            return [one for part in parts for one in operands(part)]
        case Test(operand):
            return [operand]


class Conditions:
    """Compiles conditions on the cells of one source.

    Args:
        now: what NOW() is.
    """

    def __init__(self, source: RowSource, values: Values, now: datetime) -> None:
        self._source = source
        self._values = values
        self._now = now

    def undecided(self, condition: Condition) -> sql.Composable:
        """Whether some cell that the condition tests has a value that is not known."""
        cells = {one for one in operands(condition) if isinstance(one, Cell)}
        tests: list[sql.Composable] = [
            sql.SQL("({0} IS NOT NULL AND {1} IS NULL)").format(self._source.cell(one.name), self._key(one))
            for one in sorted(cells, key=lambda one: one.name)
        ]
        return sql.SQL("({})").format(sql.SQL(" OR ").join(tests or [sql.SQL("false")]))

    def compile(self, condition: Condition) -> sql.Composable:
        """A boolean expression; NULL where it cannot be said."""
        match condition:
            case Not(item):
                return sql.SQL("(NOT {})").format(self.compile(item))
            case All(parts):
                return sql.SQL("({})").format(sql.SQL(" AND ").join(self.compile(one) for one in parts))
            case Any(parts):
                return sql.SQL("({})").format(sql.SQL(" OR ").join(self.compile(one) for one in parts))
            case Test():
                return self._test(condition)

    def _test(self, test: Test) -> sql.Composable:
        key = self._key(test.operand)
        if test.operator is Operator.IS_NULL:
            return sql.SQL("({} IS NULL)").format(key)
        if test.operand.kind is not ColumnKind.LIST:
            return self._compare(key, test)
        cell = self._source.cell(test.operand.name) if isinstance(test.operand, Cell) else NO_VALUE
        return sql.SQL(
            "(CASE WHEN {0} <> '' THEN EXISTS (SELECT 1 FROM jsonb_array_elements_text({0}::jsonb)"
            " AS each(text) WHERE {1}) END)"
        ).format(cell, self._compare(sql.SQL('(each.text COLLATE "C")'), test))

    def _key(self, operand: Cell | Fact) -> sql.Composable:
        if isinstance(operand, Fact):
            return fact_sql(operand, self._values)
        return sort_key(self._source.cell(operand.name), operand.kind)

    def _compare(self, key: sql.Composable, test: Test) -> sql.Composable:
        kind = test.operand.kind
        placed = [self._value(one, kind, test.operator) for one in test.values]
        if kind is ColumnKind.ADDRESS:
            return sql.SQL("({})").format(sql.SQL(" OR ").join(sql.SQL("{} <<= {}").format(key, one) for one in placed))
        match test.operator:
            case Operator.IN:
                return sql.SQL("({} IN ({}))").format(key, sql.SQL(", ").join(placed))
            case Operator.MATCHES | Operator.MATCHES_ANY_CASE:
                return sql.SQL("({} ~ {})").format(key, placed[0])
            case Operator.LIKE | Operator.ILIKE:
                return sql.SQL("({} " + test.operator.value + " {})").format(key, placed[0])
            case operator:
                return sql.SQL("({} " + operator.value + " {})").format(key, placed[0])

    def _value(self, value: Value, kind: ColumnKind, operator: Operator) -> sql.Composable:
        add = self._values.add
        if isinstance(value, FromNow):
            value = self._now + value.offset
        if isinstance(value, datetime):
            return sql.SQL("{}::text").format(add(_moment(value)))
        if isinstance(value, bool):
            return sql.SQL("{}::text").format(add(str(value).lower()))
        if isinstance(value, int | float):
            return sql.SQL("{}::numeric").format(add(repr(value)))
        if kind is ColumnKind.ADDRESS:
            return sql.SQL("{}::inet").format(add(value))
        if operator in (Operator.MATCHES, Operator.MATCHES_ANY_CASE):
            value = to_postgres(parse_regex(value, ignore_case=operator is Operator.MATCHES_ANY_CASE))
        elif kind is ColumnKind.HASH and _HEX.fullmatch(value):
            value = value.lower()
        return sql.SQL("{}::text").format(add(value))


def _moment(value: datetime) -> str:
    """As :func:`sort_key` writes moments."""
    text = value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return f"{text}.{value.microsecond:06}".rstrip("0") if value.microsecond else text
