"""Grammar of one test: an operand, an operator and values that fit the operand's kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from mig_core.domain.addresses import network_text
from mig_core.domain.agent_state import AgentState
from mig_core.domain.target import names
from mig_core.domain.target.addresses import read_network
from mig_core.domain.target.cursor import Cursor, found
from mig_core.domain.target.lexer import Token, TokenKind
from mig_core.domain.target.literals import MAX_INTEGER, MIN_INTEGER, read_interval, read_time
from mig_core.domain.target.tree import (
    AddressWithin,
    And,
    Column,
    Comparator,
    Comparison,
    FromNow,
    In,
    IsNull,
    JsonText,
    Kind,
    Like,
    Matches,
    Node,
    Not,
    Operand,
    Value,
)
from mig_core.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

MAX_LIST = 500
"""Values of one IN list."""

_OPERATORS = "= <> < <= > >= LIKE ILIKE IN BETWEEN IS ~ ~* !~ !~* or NOT before one of them"
REGEX = {"~": (False, False), "~*": (True, False), "!~": (False, True), "!~*": (True, True)}
"""Operator -> (without case, negated)."""
_STATUS = Column("status", Kind.TEXT)
_IN_A_SHELL = "in a shell, put the whole target in double quotes: -t \"os = 'linux'\""


def parse_operand(cursor: Cursor) -> Operand | None:
    """The column, shorthand, or key of environment or tags that comes next; None, and nothing taken, when none does."""
    token = cursor.token
    head, dot, rest = token.value.partition(".")
    if head.lower() in cursor.vocabulary.documents:
        cursor.take()
        keys = _dotted_keys(cursor, token, rest) if dot else []
        return _document_key(cursor, token, head.lower(), keys)
    operand = cursor.vocabulary.operand(token.value)
    if operand is not None:
        cursor.take()
    elif cursor.vocabulary.of_agents and token.value.lower() in names.GONE:
        raise cursor.error(token, f"agents have no {token.value}", names.GONE[token.value.lower()])
    return operand


def _dotted_keys(cursor: Cursor, token: Token, rest: str) -> list[str]:
    keys = rest.split(".")
    if not all(keys) or any(wildcard in rest for wildcard in "*?%"):
        example = token.value.partition(".")[0].lower() + "->>'my key'"
        raise cursor.error(token, f"{token.value} is not a key", f"write keys with odd characters in quotes: {example}")
    return keys


def _document_key(cursor: Cursor, token: Token, column: str, keys: list[str]) -> JsonText:
    """``environment->'a'->>'b'``, ``tags->>'k'``; with keys from dots already there, nothing more is needed."""
    ended = bool(keys)
    while not ended and cursor.token.is_operator("->", "->>"):
        ended = cursor.take().value == "->>"
        key = cursor.take()
        if key.kind is not TokenKind.STRING:
            raise cursor.error(key, f"a key goes in single quotes, {found(key)}", f"write {column}->>'key'")
        keys.append(key.value)
    if not ended:
        problem = "-> gives JSON, which cannot be compared" if keys else f"{column} needs a key"
        raise cursor.error(cursor.token if keys else token, problem, f"end with ->> to read a text: {column}->>'key'")
    if column == "tags" and len(keys) > 1:
        raise cursor.error(token, "tags have no keys within keys", "write tags->>'key'")
    if len(keys) > 20:
        raise cursor.error(token, "more than 20 keys within keys", f"write {column}->>'key'")
    return JsonText(column, tuple(keys))


def parse_test(cursor: Cursor, operand: Operand) -> Node:
    """What follows an operand."""
    token = cursor.take()
    cursor.spend(token)
    negated = token.keyword == "NOT"
    if negated:
        cursor.spend(token)
        token = cursor.take()
    test = _negatable_test(cursor, operand, token)
    if test is not None:
        return Not(test) if negated else test
    if negated:
        raise cursor.error(
            token, f"expected LIKE, ILIKE, IN or BETWEEN after NOT, {found(token)}", "NOT before a test: NOT (...)"
        )
    return _is_null(cursor, operand) if token.keyword == "IS" else _operator_test(cursor, operand, token)


def _negatable_test(cursor: Cursor, operand: Operand, token: Token) -> Node | None:
    """A test that may have NOT before its word; None when this is no such word."""
    match token.keyword:
        case "LIKE" | "ILIKE":
            return _like(cursor, operand, token)
        case "IN":
            return In(operand, _list(cursor, operand))
        case "BETWEEN":
            return _between(cursor, operand, token)
    return None


def _operator_test(cursor: Cursor, operand: Operand, token: Token) -> Node:
    if token.kind is TokenKind.OPERATOR and token.value in REGEX:
        return _regex(cursor, operand, token)
    if token.is_operator("<>", "!="):
        cursor.spend(token)
        return Not(Comparison(operand, Comparator.EQUAL, _value(cursor, operand, choice=True)))
    if token.is_operator(*Comparator):
        comparator = Comparator(token.value)
        return Comparison(operand, comparator, _value(cursor, operand, choice=comparator is Comparator.EQUAL))
    if token.is_operator("<<="):
        raise cursor.error(token, "<<= is for addresses", "write address <<= '10.0.0.0/8'")
    raise cursor.error(token, f"expected an operator, {found(token)}", f"one of {_OPERATORS}")


def parse_address_test(cursor: Cursor) -> Node:
    """What follows ``address``: any of the agent's addresses is meant."""
    token = cursor.take()
    cursor.spend(token)
    if token.is_operator("<<=", "="):
        return AddressWithin((_network(cursor, one=token.value == "="),))
    negated = token.keyword == "NOT"
    if negated:
        cursor.spend(token)
        token = cursor.take()
    if token.keyword != "IN":
        raise cursor.error(
            token,
            f"expected <<=, = or IN after address, {found(token)}",
            "write address <<= '10.0.0.0/8'; for the opposite NOT address <<= '10.0.0.0/8'",
        )
    within = AddressWithin(tuple(items(cursor, lambda: _network(cursor, one=False))))
    return Not(within) if negated else within


def _network(cursor: Cursor, *, one: bool) -> str:
    token = cursor.take()
    network = read_network(token.value) if token.kind is TokenKind.STRING else None
    if network is None:
        raise cursor.error(
            token,
            f"expected an address or network in single quotes, {found(token)}",
            "like '192.0.2.7' or '10.0.0.0/8'",
        )
    if one and network.num_addresses != 1:
        raise cursor.error(token, "this is a network, not one address", f"write address <<= '{network_text(network)}'")
    return network_text(network)


def _like(cursor: Cursor, operand: Operand, operator: Token) -> Like:
    _check_text(cursor, operand, operator)
    return Like(operand, pattern_value(cursor), operator.keyword == "ILIKE")


def pattern_value(cursor: Cursor) -> str:
    """The pattern that follows LIKE."""
    from mig_core.domain.target.regex import MAX_PATTERN

    start = cursor.token
    pattern = _quoted_pattern(cursor)
    if len(pattern) > MAX_PATTERN:
        raise cursor.error(
            start, f"the pattern is longer than {MAX_PATTERN} characters", "match a shorter part: '%part%'"
        )
    backslashes = len(pattern) - len(pattern.rstrip("\\"))
    if backslashes % 2:
        raise cursor.error(start, "the pattern ends in a lone backslash", "write \\\\ for the character itself")
    return pattern


def _regex(cursor: Cursor, operand: Operand, operator: Token) -> Node:
    ignore_case, negated = REGEX[operator.value]
    _check_text(cursor, operand, operator)
    pattern = regex_value(cursor, ignore_case=ignore_case)
    if negated:
        cursor.spend(operator)
    test = Matches(operand, pattern, ignore_case)
    return Not(test) if negated else test


def regex_value(cursor: Cursor, *, ignore_case: bool) -> str:
    """The regular expression that follows ``~``, checked."""
    from mig_core.domain.target.regex import parse_regex  # most targets have none

    start = cursor.token
    pattern = _quoted_pattern(cursor)
    try:
        parse_regex(pattern, ignore_case=ignore_case)
    except TargetError as error:
        inside = start.start + 1 + error.position + pattern[: error.position].count("'")
        raise cursor.error(inside, error.problem, error.next_step) from None
    return pattern


def _check_text(cursor: Cursor, operand: Operand, operator: Token) -> None:
    if operand.kind is not Kind.TEXT:
        raise cursor.error(
            operator,
            f"{operator.value} is for texts, this is {_article(operand.kind)}",
            "compare with = < > IN or BETWEEN",
        )


def _quoted_pattern(cursor: Cursor) -> str:
    token = cursor.take()
    if token.kind is not TokenKind.STRING:
        raise cursor.error(token, f"expected a pattern in single quotes, {found(token)}", _IN_A_SHELL)
    return token.value


def _between(cursor: Cursor, operand: Operand, token: Token) -> Node:
    cursor.spend(token, 2)
    low = _value(cursor, operand)
    if not cursor.accept("AND"):
        raise cursor.error(cursor.token, f"expected AND, {found(cursor.token)}", "write BETWEEN low AND high")
    high = _value(cursor, operand)
    return And((Comparison(operand, Comparator.GREATER_EQUAL, low), Comparison(operand, Comparator.LESS_EQUAL, high)))


def _is_null(cursor: Cursor, operand: Operand) -> Node:
    negated = cursor.accept("NOT")
    token = cursor.take()
    if token.keyword != "NULL":
        raise cursor.error(token, f"expected NULL or NOT NULL after IS, {found(token)}", "compare values with =")
    if negated:
        cursor.spend(token)
    return Not(IsNull(operand)) if negated else IsNull(operand)


def _list(cursor: Cursor, operand: Operand) -> tuple[Value, ...]:
    return tuple(items(cursor, lambda: _value(cursor, operand, choice=True)))


def items(cursor: Cursor, read: Callable[[], Item]) -> list[Item]:
    """What stands in the parentheses after IN."""
    cursor.expect_operator("(", "expected a list in parentheses", "write IN ('a', 'b')")
    taken: list[Item] = []
    while True:
        if len(taken) >= MAX_LIST:
            raise cursor.error(
                cursor.token, f"the list is longer than {MAX_LIST}", "match a pattern, or ask in several actions"
            )
        taken.append(read())
        if not cursor.accept_operator(","):
            break
    cursor.expect_operator(")", "expected , or ) in the list", "write IN ('a', 'b')")
    return taken


def _value(cursor: Cursor, operand: Operand, *, choice: bool = False) -> Value:
    """The value that comes next. ``choice``: it is meant to equal the operand, so an impossible one is a mistake."""
    token = cursor.token
    if token.keyword == "NULL":
        raise cursor.error(token, "nothing equals NULL, not even NULL", "write IS NULL or IS NOT NULL")
    if token.kind is TokenKind.END:
        raise cursor.error(token, "expected a value, found the end", _IN_A_SHELL)
    match operand.kind:
        case Kind.TEXT:
            value = _text(cursor)
            if choice and operand == _STATUS and value not in tuple(AgentState):
                known = ", ".join(AgentState)
                raise cursor.error(
                    token, f"no agent has the status {value!r:.40}", names.suggest(value, AgentState, f"one of {known}")
                )
            return value
        case Kind.INTEGER:
            return _integer(cursor)
        case Kind.TIME:
            return time_value(cursor)


def _text(cursor: Cursor) -> str:
    token = cursor.take()
    if token.kind is TokenKind.STRING:
        return token.value
    if token.kind is TokenKind.NUMBER:
        raise cursor.error(token, f"this is compared as text, {found(token)}", f"write it in quotes: '{token.value}'")
    raise cursor.error(
        token, f"expected a text in single quotes, {found(token)}", f"write '{token.value[:40]}'; {_IN_A_SHELL}"
    )


def _integer(cursor: Cursor) -> int:
    start = cursor.token
    sign = -1 if cursor.accept_operator("-") else 1
    token = cursor.take()
    if token.kind is not TokenKind.NUMBER:
        raise cursor.error(token, f"expected a whole number, {found(token)}", "write it without quotes: pid = 4711")
    number = sign * int(token.value) if len(token.value) <= 20 else MAX_INTEGER + 1
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise cursor.error(start, "this number is out of range", f"from {MIN_INTEGER} to {MAX_INTEGER}")
    return number


def time_value(cursor: Cursor) -> datetime | FromNow:
    """A point in time, or one relative to NOW()."""
    token = cursor.take()
    if token.keyword == "NOW":
        cursor.expect_operator("(", "expected () after NOW", "write NOW()")
        cursor.expect_operator(")", "expected () after NOW", "write NOW()")
        sign = -1 if cursor.token.is_operator("-") else 1
        return FromNow(sign * _interval(cursor) if cursor.accept_operator("+", "-") else timedelta())
    moment = read_time(token.value) if token.kind is TokenKind.STRING else None
    if moment is None:
        raise cursor.error(
            token,
            f"expected a time, {found(token)}",
            "write NOW() - interval '5 minutes', or a time: '2026-11-23 03:00' (UTC) or '2026-11-23T03:00:00+01:00'",
        )
    return moment


def _interval(cursor: Cursor) -> timedelta:
    cursor.accept("INTERVAL")
    token = cursor.take()
    interval = read_interval(token.value) if token.kind is TokenKind.STRING else None
    if interval is None:
        raise cursor.error(
            token,
            f"expected an interval, {found(token)}",
            "write interval '5 minutes': seconds, minutes, hours, days or weeks, at most 100 years",
        )
    return interval


def _article(kind: Kind) -> str:
    return "a number" if kind is Kind.INTEGER else "a time"
