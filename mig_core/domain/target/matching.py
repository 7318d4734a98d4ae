"""Whether a target means an agent, in the database's own logic, extended by what cannot be known.

SQL's logic has three values: true, false, null. Whoever matches may not know an agent's fact at all; then a test has
one of several values. So evaluation works on the *set* of values an expression can have: a known fact gives a set of
one, an unknown one the set of all that its test could give, and NOT, AND, OR combine every member with every member.
That is sound: the true value is always in the set. An agent refuses only a target whose set does not contain true.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from mig_core.domain.target.addresses import read_address
from mig_core.domain.target.agent_view import AgentView, Unknown
from mig_core.domain.target.automaton import like_automaton, lower_ascii, regex_automaton
from mig_core.domain.target.jsontext import text_at
from mig_core.domain.target.tree import (
    AddressWithin,
    And,
    Answered,
    Column,
    Comparator,
    Comparison,
    Everything,
    FromNow,
    In,
    IsNull,
    JsonText,
    Like,
    Matches,
    Node,
    Not,
    Or,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.domain.addresses import IPAddress, IPNetwork
    from mig_core.domain.target.parser import Target
    from mig_core.domain.target.tree import Operand

_Fact = str | int | datetime | Unknown | None
Outcomes = frozenset[bool | None]
"""The values an expression can have; None is SQL's NULL."""

_ANY_OUTCOME: Outcomes = frozenset({True, False, None})
_NOT_NULL: Outcomes = frozenset({True, False})
_NEVER_NULL = frozenset({"id", "name", "status"})
"""Columns that the database holds for every agent."""


class Verdict(Enum):
    """Whether the target means the agent."""

    YES = "yes"
    NO = "no"
    """Definitely not, whatever the unknown facts are. NULL is no: a database does not select such a row."""
    UNKNOWN = "unknown"


def match(target: Target, agent: AgentView, *, now: datetime) -> Verdict:
    """Whether ``target`` means ``agent``. Total: no target that was parsed and no view raises.

    Args:
        now: aware; what ``NOW()`` stands for.
    """
    outcomes = _Matcher(agent, now).outcomes(target.tree)
    if True not in outcomes:
        return Verdict.NO
    return Verdict.YES if len(outcomes) == 1 else Verdict.UNKNOWN


def holds(condition: Target, documents: Mapping[str, object], *, now: datetime) -> bool:
    """Whether a condition about alerts (``parse_condition``) holds. Total. NULL is no, as for agents.

    Args:
        documents: what its names stand for: ``module`` a text, ``event`` a JSON object.
        now: aware; what ``NOW()`` stands for.
    """

    def value(operand: Operand) -> str | None:
        if isinstance(operand, Column):
            return str(documents[operand.name])
        document = documents[operand.column]
        return text_at(document, operand.path) if isinstance(document, Mapping) else None

    return True in _Matcher(AgentView(), now, value).outcomes(condition.tree)


class _Matcher:
    def __init__(self, agent: AgentView, now: datetime, value: Callable[[Operand], _Fact] | None = None) -> None:
        self._agent = agent
        self._now = now
        self._value = value or self._fact

    def outcomes(self, node: Node) -> Outcomes:
        match node:
            case Everything():
                return frozenset({True})
            case Not(item):
                return frozenset(None if value is None else not value for value in self.outcomes(item))
            case And(items):
                return _combine((self.outcomes(item) for item in items), decisive=False)
            case Or(items):
                return _combine((self.outcomes(item) for item in items), decisive=True)
            case AddressWithin(networks):
                return self._address_within(networks)
            case Answered(answer, action):
                asked = self._agent.answered
                return _NOT_NULL if isinstance(asked, Unknown) else frozenset({bool(asked(answer, action))})
            case IsNull(operand):
                value = self._value(operand)
                if isinstance(value, Unknown):
                    return frozenset({False}) if _never_null(operand) else _NOT_NULL
                return frozenset({value is None})
            case _:
                value = self._value(node.operand)
                if isinstance(value, Unknown):
                    return _NOT_NULL if _never_null(node.operand) else _ANY_OUTCOME
                return frozenset({None if value is None else self._test(node, value)})

    def _test(self, node: Comparison | In | Like | Matches, value: str | int | datetime) -> bool:
        match node:
            case Comparison(_, comparator, wanted):
                return _COMPARE[comparator](value, self._literal(wanted))
            case In(_, wanted_values):
                return any(value == self._literal(wanted) for wanted in wanted_values)
            case Like(_, pattern, ignore_case):
                if ignore_case:
                    return like_automaton(lower_ascii(pattern)).found_in(lower_ascii(str(value)))
                return like_automaton(pattern).found_in(str(value))
            case Matches(_, pattern, ignore_case):
                return regex_automaton(pattern, ignore_case).found_in(str(value))

    def _fact(self, operand: Operand) -> _Fact:
        agent = self._agent
        match operand:
            case JsonText(column, path):
                document = agent.environment if column == "environment" else agent.tags
                return document if isinstance(document, Unknown) else text_at(document, path)
            case Column("heartbeat_at"):
                return agent.heartbeat
            case Column("started_at"):
                return agent.starttime
            case Column("pid"):
                return agent.pid
            case Column(name):
                texts = {
                    "id": agent.id,
                    "name": agent.name,
                    "version": agent.version,
                    "mode": agent.mode,
                    "relay": agent.relay,
                    "status": agent.status,
                }
                return texts[name]

    def _literal(self, value: Value) -> str | int | datetime:
        return self._now + value.offset if isinstance(value, FromNow) else value

    def _address_within(self, networks: tuple[str, ...]) -> Outcomes:
        texts = self._agent.addresses
        if isinstance(texts, Unknown):
            return _NOT_NULL
        addresses = [read_address(text.partition("/")[0]) for text in texts]
        within = [ipaddress.ip_network(network) for network in networks]
        return frozenset({any(_is_in(address, network) for address in addresses for network in within)})


def _is_in(address: IPAddress | None, network: IPNetwork) -> bool:
    return address is not None and address.version == network.version and address in network


def _never_null(operand: Operand) -> bool:
    return isinstance(operand, Column) and operand.name in _NEVER_NULL


def _combine(operands: Iterable[Outcomes], *, decisive: bool) -> Outcomes:
    """AND (decisive False) or OR (decisive True): the decisive value wins, then NULL, then the other."""
    result: Outcomes = frozenset({not decisive})
    for outcomes in operands:
        result = frozenset(
            decisive if decisive in (left, right) else None if None in (left, right) else not decisive
            for left in result
            for right in outcomes
        )
    return result


_COMPARE: dict[Comparator, Callable[[Any, Any], bool]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.LESS: operator.lt,
    Comparator.LESS_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_EQUAL: operator.ge,
}
"""Over two values of one type, which the parser has seen to. Python orders texts by code point, as COLLATE "C" does."""
