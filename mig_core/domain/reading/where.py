"""Conditions on columns, in the language of targets: ``size > '10m' AND NOT path LIKE '/usr/%'``.

The same tokens, operators and errors as :mod:`mig_core.domain.target`; names are the columns of the rows, besides
``agent`` (an endpoint's name), ``tags.KEY`` and ``environment.KEY``. What a value may be depends on the column's kind:

* ``text``, ``path``, ``hash``: a text in quotes. Hexadecimal hashes are compared without regard to case.
* ``list``: the same; a test holds when it holds for any of the list's texts.
* ``integer``, ``size``, ``duration``: a number, or in quotes one with a unit: ``'10m'``, ``'1h30m'``, ``'1.5'``.
* ``time``: as in targets: ``NOW() - interval '1 day'``, ``'2026-11-23 03:00'``.
* ``address``: ``address <<= '10.0.0.0/8'``, ``= '192.0.2.7'``, ``IN (...)``.
* ``boolean``: ``= true``, ``= false``.

A test of a cell that has no value, or whose value is not known, is neither true nor false (SQL's NULL).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from mig_core.domain.addresses import network_text
from mig_core.domain.column_kind import NUMBERS, ColumnKind
from mig_core.domain.target import names
from mig_core.domain.target.addresses import read_network
from mig_core.domain.target.cursor import Budget, Cursor, found
from mig_core.domain.target.lexer import Token, TokenKind
from mig_core.domain.target.parser import MAX_DEPTH, MAX_TEXT
from mig_core.domain.target.predicates import REGEX, items, pattern_value, regex_value, time_value
from mig_core.domain.target.tree import FromNow
from mig_core.domain.times import parse_duration
from mig_core.errors import ConditionError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.domain.reading.shape import Field

Value = str | float | bool | datetime | FromNow

AGENT = "agent"
"""The name of an endpoint, where no column is called so."""


class Operator(StrEnum):
    """How a cell is compared. ``NOT IN``, ``!=`` and their like are Not() of one of these."""

    EQUAL = "="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    IN = "IN"
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    MATCHES = "~"
    MATCHES_ANY_CASE = "~*"
    WITHIN = "<<="
    IS_NULL = "IS NULL"


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the rows."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about the endpoint: its name (``column`` is ``agent``), a tag, a fact of its environment."""

    column: str
    path: tuple[str, ...] = ()

    @property
    def kind(self) -> ColumnKind:
        """Always text."""
        return ColumnKind.TEXT


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison; ``values`` has one value, several for IN, none for IS NULL."""

    __test__ = False  # no class of pytest's

    operand: Cell | Fact
    operator: Operator
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """NOT."""

    item: Condition


@dataclass(frozen=True, slots=True)
class All:
    """AND over two or more."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """OR over two or more."""

    items: tuple[Condition, ...]


Condition = Test | Not | All | Any

_SIZE = re.compile(r"(-?\d{1,20}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,15})?", re.ASCII)
_COMPARISONS = ("=", "<", "<=", ">", ">=")
_TEXTS = frozenset({ColumnKind.TEXT, ColumnKind.PATH, ColumnKind.HASH, ColumnKind.LIST})


def parse_where(text: str, fields: Sequence[Field]) -> Condition:
    """Reads conditions on the columns. Costs time in proportion to the text.

    Raises:
        ConditionError: it is none, or exceeds a limit of targets; nothing else is raised, whatever the text.
    """
    try:
        return _parse(text, fields)
    except TargetError as error:
        raise ConditionError(text, error.position, error.problem, next_step=error.next_step) from None


def _parse(text: str, fields: Sequence[Field]) -> Condition:
    if len(text) > MAX_TEXT:
        raise TargetError(
            text, MAX_TEXT, f"the condition is {len(text)} characters", next_step=f"at most {MAX_TEXT} are accepted"
        )
    cursor = Cursor(text, Budget(), names.AGENTS)
    if not text.strip():
        raise cursor.error(cursor.token, "the condition is empty", "write a test like size > '10m'")
    parser = _Parser(cursor, {one.name: one.kind for one in fields})
    condition = parser.expression(0)
    if cursor.token.kind is not TokenKind.END:
        raise cursor.error(
            cursor.token, f"expected AND, OR or the end, {found(cursor.token)}", "join tests with AND or OR"
        )
    return condition


class _Parser:
    def __init__(self, cursor: Cursor, kinds: dict[str, ColumnKind]) -> None:
        self._cursor = cursor
        self._kinds = kinds

    def expression(self, depth: int) -> Condition:
        parts = self._joined("OR", lambda: self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _conjunction(self, depth: int) -> Condition:
        parts = self._joined("AND", lambda: self._negation(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _joined(self, word: str, read: Callable[[], Condition]) -> list[Condition]:
        parts = [read()]
        while self._cursor.token.keyword == word:
            self._cursor.spend(self._cursor.take())
            parts.append(read())
        return parts

    def _negation(self, depth: int) -> Condition:
        cursor, token = self._cursor, self._cursor.token
        if depth > MAX_DEPTH:
            raise cursor.error(token, f"nested deeper than {MAX_DEPTH} levels", "take out parentheses")
        if cursor.accept("NOT"):
            cursor.spend(token)
            return Not(self._negation(depth + 1))
        if cursor.accept_operator("("):
            inner = self.expression(depth + 1)
            cursor.expect_operator(")", "expected AND, OR or )", f"the ( at position {token.start} is not closed")
            return inner
        return self._test()

    def _test(self) -> Condition:
        operand = self._operand()
        cursor, token = self._cursor, self._cursor.take()
        cursor.spend(token)
        negated = token.keyword == "NOT"
        if negated:
            token = cursor.take()
        test = self._negatable(operand, token)
        if test is not None:
            return Not(test) if negated else test
        if negated:
            raise cursor.error(token, f"expected LIKE, ILIKE, IN or BETWEEN after NOT, {found(token)}", "NOT (...)")
        if token.keyword == "IS":
            return self._is_null(operand)
        return self._comparison(operand, token)

    def _operand(self) -> Cell | Fact:
        cursor, token = self._cursor, self._cursor.take()
        word = token.value.lower()
        if token.kind is not TokenKind.WORD or token.keyword in names.KEYWORDS:
            raise cursor.error(token, f"expected a column, {found(token)}", self._known())
        if word in self._kinds:
            return Cell(word, self._kinds[word])
        if word == AGENT:
            return Fact(AGENT)
        head, dot, rest = token.value.partition(".")
        if head.lower() in names.DOCUMENTS and dot and all(rest.split(".")) and not set(rest) & set("*?%"):
            return Fact(head.lower(), tuple(rest.split(".")))
        raise cursor.error(
            token, f"no column is called {token.value[:40]}", names.suggest(token.value, self._kinds, self._known())
        )

    def _known(self) -> str:
        return f"columns: {', '.join(self._kinds) or 'none'}; also agent, tags.KEY, environment.KEY"

    def _negatable(self, operand: Cell | Fact, token: Token) -> Condition | None:
        cursor = self._cursor
        match token.keyword:
            case "LIKE" | "ILIKE":
                self._only(operand, token, _TEXTS)
                return Test(operand, Operator(token.keyword), (pattern_value(cursor),))
            case "IN":
                return Test(operand, Operator.IN, tuple(items(cursor, lambda: self._value(operand))))
            case "BETWEEN":
                low = self._value(operand)
                if not cursor.accept("AND"):
                    raise cursor.error(cursor.token, f"expected AND, {found(cursor.token)}", "BETWEEN low AND high")
                high = self._value(operand)
                self._ordered(operand, token)
                return All((Test(operand, Operator.GREATER_EQUAL, (low,)), Test(operand, Operator.LESS_EQUAL, (high,))))
        return None

    def _is_null(self, operand: Cell | Fact) -> Condition:
        negated = self._cursor.accept("NOT")
        token = self._cursor.take()
        if token.keyword != "NULL":
            raise self._cursor.error(token, f"expected NULL or NOT NULL after IS, {found(token)}", "compare with =")
        test = Test(operand, Operator.IS_NULL)
        return Not(test) if negated else test

    def _comparison(self, operand: Cell | Fact, token: Token) -> Condition:
        cursor = self._cursor
        if token.kind is TokenKind.OPERATOR and token.value in REGEX:
            self._only(operand, token, _TEXTS)
            ignore_case, negated = REGEX[token.value]
            operator = Operator.MATCHES_ANY_CASE if ignore_case else Operator.MATCHES
            test = Test(operand, operator, (regex_value(cursor, ignore_case=ignore_case),))
            return Not(test) if negated else test
        if token.is_operator("<>", "!="):
            return Not(Test(operand, Operator.EQUAL, (self._value(operand),)))
        if token.is_operator("<<="):
            self._only(operand, token, frozenset({ColumnKind.ADDRESS}))
            return Test(operand, Operator.WITHIN, (self._value(operand),))
        if token.is_operator(*_COMPARISONS):
            if token.value != "=":
                self._ordered(operand, token)
            return Test(operand, Operator(token.value), (self._value(operand),))
        raise cursor.error(
            token, f"expected an operator, {found(token)}", "one of = <> < <= > >= LIKE ILIKE IN BETWEEN IS ~ ~* !~ <<="
        )

    def _only(self, operand: Cell | Fact, token: Token, kinds: frozenset[ColumnKind]) -> None:
        if operand.kind not in kinds:
            raise self._cursor.error(
                token, f"{token.value} is not for columns of kind {operand.kind.value}", "see docs/answers.md"
            )

    def _ordered(self, operand: Cell | Fact, token: Token) -> None:
        self._only(operand, token, frozenset(ColumnKind) - {ColumnKind.BOOLEAN, ColumnKind.LIST, ColumnKind.ADDRESS})

    def _value(self, operand: Cell | Fact) -> Value:
        cursor, token = self._cursor, self._cursor.token
        if token.keyword == "NULL":
            raise cursor.error(token, "nothing equals NULL", "write IS NULL or IS NOT NULL")
        kind = operand.kind
        if kind is ColumnKind.TIME:
            return time_value(cursor)
        if kind in NUMBERS:
            return _number(cursor, kind)
        cursor.take()
        if kind is ColumnKind.BOOLEAN:
            if token.keyword not in ("TRUE", "FALSE"):
                raise cursor.error(token, f"expected true or false, {found(token)}", "write = true or = false")
            return token.keyword == "TRUE"
        if token.kind is not TokenKind.STRING:
            raise cursor.error(token, f"expected a text in single quotes, {found(token)}", "write it like 'web1'")
        if kind is ColumnKind.ADDRESS:
            network = read_network(token.value)
            if network is None:
                raise cursor.error(token, "is neither an address nor a network", "like '192.0.2.7' or '10.0.0.0/8'")
            return network_text(network)
        return token.value


def _number(cursor: Cursor, kind: ColumnKind) -> float:
    start = cursor.token
    sign = "-" if cursor.accept_operator("-") else ""
    token = cursor.take()
    if token.kind in (TokenKind.NUMBER, TokenKind.STRING):
        text = sign + token.value.strip()
        if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        if kind is ColumnKind.SIZE and (parts := _SIZE.fullmatch(text)):
            return round(float(parts[1]) * _UNITS[parts[2].lower()])
        if kind is ColumnKind.DURATION:
            try:
                return parse_duration(text).total_seconds()
            except ValueError:
                pass
    examples = {ColumnKind.SIZE: "10485760 or '10m'", ColumnKind.DURATION: "90 or '1h30m'"}
    raise cursor.error(start, f"expected a number, {found(token)}", f"write {examples.get(kind, '4711')}")
