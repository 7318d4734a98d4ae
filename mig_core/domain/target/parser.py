"""The grammar of targets: text in, tree out, or a :class:`TargetError` that says where and what to write instead.

::

    target      = name | address | expression
    expression  = conjunction { OR conjunction }
    conjunction = negation { AND negation }
    negation    = NOT negation | "(" expression ")" | all | macro | name pattern | function "(" action ")" | test

:mod:`.predicates` has the tests. Everything is bounded before it is built: text, nesting, nodes, list lengths. The
recursion of this file follows the nesting, so :data:`MAX_DEPTH` also bounds Python's stack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.domain.addresses import network_text
from mig_core.domain.target import names
from mig_core.domain.target.addresses import read_network
from mig_core.domain.target.cursor import MAX_NODES, Budget, Cursor, found
from mig_core.domain.target.lexer import Token, TokenKind
from mig_core.domain.target.literals import read_action_id
from mig_core.domain.target.predicates import MAX_LIST, parse_address_test, parse_operand, parse_test
from mig_core.domain.target.tree import (
    AddressWithin,
    And,
    Answered,
    Comparator,
    Comparison,
    Everything,
    Like,
    Node,
    Not,
    Or,
)
from mig_core.errors import TargetError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_DEPTH", "MAX_LIST", "MAX_NODES", "MAX_TEXT", "Target", "parse_condition", "parse_target"]

MAX_TEXT = 8192
"""Characters of a target, and of what it becomes with its macros written out."""
MAX_DEPTH = 50
"""Parentheses, NOTs and macros within one another."""

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]*[.:][0-9A-Fa-f:.]*(?:/\d{1,3})?", re.ASCII)
_WILDCARDS = str.maketrans({"*": "%", "?": "_", "_": "\\_"})
_NO_MACROS: Mapping[str, str] = {}
_EXAMPLE = "write a test like name LIKE 'web%' or os = 'linux', or all"


@dataclass(frozen=True, slots=True)
class Target:
    """A target that was read."""

    text: str
    """As it was written."""
    tree: Node
    expanded: str
    """The same with macros and name patterns written out: what an action carries, since no agent knows the macros."""


def parse_target(text: str, *, macros: Mapping[str, str] = _NO_MACROS) -> Target:
    """Reads a target. Costs time in proportion to the text, which is at most :data:`MAX_TEXT` characters.

    Args:
        macros: name -> target, from the investigator's configuration; they may name one another.

    Raises:
        TargetError: it is none, or exceeds a limit. Nothing else is raised, whatever the text.
    """
    tree, expanded = _read(text, macros, Budget(), 0, frozenset())
    if len(expanded) > MAX_TEXT:
        raise TargetError(
            text,
            0,
            f"the target is {len(expanded)} characters with its macros written out, at most {MAX_TEXT} are accepted",
            next_step="use a pattern, or ask in several actions",
        )
    return Target(text, tree, expanded)


def parse_condition(text: str) -> Target:
    """Reads what is asked of an alert, in the same language: ``module = 'audit' AND event.type LIKE 'USER%'``.

    Raises:
        TargetError: as :func:`parse_target`.
    """
    if len(text) > MAX_TEXT:
        raise TargetError(
            text, MAX_TEXT, f"it is {len(text)} characters, at most {MAX_TEXT} are accepted", next_step="use a pattern"
        )
    parser = _Parser(Cursor(text, Budget(), names.ALERTS), _NO_MACROS, frozenset())
    return Target(text, parser.target(0), text)


def _read(text: str, macros: Mapping[str, str], budget: Budget, depth: int, within: frozenset[str]) -> tuple[Node, str]:
    if len(text) > MAX_TEXT:
        raise TargetError(
            text,
            MAX_TEXT,
            f"the target is {len(text)} characters, at most {MAX_TEXT} are accepted",
            next_step="use a pattern, or ask in several actions",
        )
    stripped = text.strip()
    network = read_network(stripped) if _ADDRESS.fullmatch(stripped) else None
    if network is not None:
        written = network_text(network)
        return AddressWithin((written,)), f"address <<= '{written}'"
    cursor = Cursor(text, budget, names.AGENTS)
    parser = _Parser(cursor, macros, within)
    tree = parser.target(depth)
    return tree, parser.expanded()


class _Parser:
    def __init__(self, cursor: Cursor, macros: Mapping[str, str], within: frozenset[str]) -> None:
        self._cursor = cursor
        self._macros = macros
        self._within = within
        self._replacements: list[tuple[Token, str]] = []

    def expanded(self) -> str:
        """The text with every replaced word in its long form."""
        text, parts, position = self._cursor.text, [], 0
        for token, replacement in self._replacements:
            parts += [text[position : token.start], replacement]
            position = token.end
        return "".join([*parts, text[position:]])

    def target(self, depth: int) -> Node:
        cursor = self._cursor
        if cursor.token.kind is TokenKind.END:
            what = "the target is empty" if cursor.vocabulary.of_agents else "the condition is empty"
            raise cursor.error(cursor.token, what, "write all for everything")
        if cursor.vocabulary.of_agents and cursor.following.kind is TokenKind.END and self._is_plain_name(cursor.token):
            return self._name(cursor.take())
        tree = self._expression(depth)
        token = cursor.token
        if token.kind is not TokenKind.END:
            problem = (
                "this ) closes nothing" if token.is_operator(")") else f"expected AND, OR or the end, {found(token)}"
            )
            raise cursor.error(token, problem, "join tests with AND or OR")
        return tree

    def _is_plain_name(self, token: Token) -> bool:
        """Whether a target of this one word is an agent's name and nothing else."""
        if token.kind in (TokenKind.NUMBER, TokenKind.UUID):
            return True
        word = token.value.lower()
        head = word.partition(".")[0]
        return (
            token.kind is TokenKind.WORD
            and token.value not in self._macros
            and token.keyword not in names.KEYWORDS
            and word
            not in (*names.COLUMNS, *names.ALIASES, *names.GONE, *names.ADDRESS, *names.FUNCTIONS, "all", "local")
            and head not in names.DOCUMENTS
        )

    def _expression(self, depth: int) -> Node:
        items = [self._conjunction(depth)]
        while self._cursor.token.keyword == "OR":
            self._cursor.spend(self._cursor.take())
            items.append(self._conjunction(depth))
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _conjunction(self, depth: int) -> Node:
        items = [self._negation(depth)]
        while self._cursor.token.keyword == "AND":
            self._cursor.spend(self._cursor.take())
            items.append(self._negation(depth))
        return items[0] if len(items) == 1 else And(tuple(items))

    def _negation(self, depth: int) -> Node:
        cursor, token = self._cursor, self._cursor.token
        if depth > MAX_DEPTH:
            raise cursor.error(
                token, f"nested deeper than {MAX_DEPTH} levels", "take out parentheses that are not needed"
            )
        if cursor.accept("NOT"):
            cursor.spend(token)
            return Not(self._negation(depth + 1))
        if cursor.accept_operator("("):
            inner = self._expression(depth + 1)
            if not cursor.accept_operator(")"):
                raise cursor.error(
                    cursor.token,
                    f"expected AND, OR or ), {found(cursor.token)}",
                    f"the ( at position {token.start} is not closed",
                )
            return inner
        return self._word(depth)

    def _word(self, depth: int) -> Node:
        cursor, token = self._cursor, self._cursor.token
        if token.kind is not TokenKind.WORD or token.keyword in names.KEYWORDS:
            raise cursor.error(token, f"expected a test, {found(token)}", self._instead(token))
        operand = parse_operand(cursor)
        if operand is not None:
            return parse_test(cursor, operand)
        cursor.take()
        word = token.value.lower()
        if word == "all":
            cursor.spend(token)
            return Everything()
        if not cursor.vocabulary.of_agents:
            known = cursor.vocabulary.known()
            raise cursor.error(token, f"unknown name {token.value[:40]}", f"known: {', '.join(known)}")
        return self._word_of_agents(token, word, depth)

    def _word_of_agents(self, token: Token, word: str, depth: int) -> Node:
        cursor = self._cursor
        if word in names.ADDRESS:
            return parse_address_test(cursor)
        if word in names.FUNCTIONS and cursor.token.is_operator("("):
            return self._function(token)
        if word == "local":
            raise cursor.error(
                token, "local is no agent the platform knows", "to ask this machine itself: mig MODULE -t local"
            )
        if token.value in self._macros:
            return self._macro(token, depth)
        if any(wildcard in token.value for wildcard in "*?%"):
            return self._name(token)
        known = [
            *names.COLUMNS,
            *names.ALIASES,
            "address",
            "environment",
            "tags",
            *names.FUNCTIONS,
            "all",
            *self._macros,
        ]
        others = ", ".join(
            cursor.vocabulary.known() + (["macros " + " ".join(sorted(self._macros))[:200]] if self._macros else [])
        )
        raise cursor.error(
            token, f"unknown name {token.value[:40]}", names.suggest(token.value, known, f"known: {others}")
        )

    def _instead(self, token: Token) -> str:
        if token.keyword == "SELECT":
            return "to ask again where an action found something: found('ACTION-ID')"
        if token.kind is TokenKind.STRING:
            return "put the column left of the operator: name = 'web1'"
        return _EXAMPLE

    def _name(self, token: Token) -> Node:
        """``web*`` stands for ``name LIKE 'web%'``, ``web1`` for ``name = 'web1'``."""
        self._cursor.spend(token)
        name = names.COLUMNS["name"]
        if any(wildcard in token.value for wildcard in "*?%"):
            pattern = token.value.translate(_WILDCARDS)
            self._replacements.append((token, f"name LIKE '{pattern}'"))
            return Like(name, pattern, ignore_case=False)
        self._replacements.append((token, f"name = '{token.value}'"))
        return Comparison(name, Comparator.EQUAL, token.value)

    def _function(self, token: Token) -> Node:
        cursor = self._cursor
        cursor.spend(token)
        cursor.take()
        action = cursor.take()
        usable = action.kind in (TokenKind.STRING, TokenKind.UUID)
        identifier = read_action_id(action.value) if usable else None
        if identifier is None:
            raise cursor.error(
                action,
                f"{token.value} needs the id of an action, {found(action)}",
                f"like {token.value.lower()}('0197f9f0-0000-7000-8000-000000000000'); mig actions lists them",
            )
        cursor.expect_operator(")", "expected )", f"write {token.value.lower()}('ACTION-ID')")
        return Answered(names.FUNCTIONS[token.value.lower()], identifier)

    def _macro(self, token: Token, depth: int) -> Node:
        name = token.value
        if name in self._within:
            raise self._cursor.error(token, f"macro {name} names itself", "correct the macros in the configuration")
        if depth >= MAX_DEPTH:
            raise self._cursor.error(
                token, f"nested deeper than {MAX_DEPTH} levels", "correct the macros in the configuration"
            )
        try:
            tree, expanded = _read(
                self._macros[name], self._macros, self._cursor.budget, depth + 1, self._within | {name}
            )
        except TargetError as error:
            where = f"in macro {name}: {error.problem} at position {error.position} of the macro"
            raise TargetError(self._cursor.text, token.start, where, next_step=error.next_step) from None
        self._replacements.append((token, f"({expanded})"))
        return tree
