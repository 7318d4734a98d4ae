"""A rule's tree as a function of an event's fields.

Sigma's meaning: texts are compared in any case unless a test says otherwise; a field with several values passes when
one of them does; a field that is not there passes no test but ``null`` (and ``exists`` for false).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from mig_sigma.expressions import from_glob, searcher
from mig_sigma.rule import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_sigma.rule import Node, Test

    Check = Callable[["Facts"], bool]
    Single = Callable[[str], bool]

NOTHING: tuple[str, ...] = ()


class Facts:
    """The fields of one event, in both cases; each is made small when it is first asked for."""

    __slots__ = ("_more", "_small", "_texts", "_values")

    def __init__(
        self,
        values: Mapping[str, str | tuple[str, ...]],
        texts: tuple[str, ...] | None = None,
        more: Callable[[], Mapping[str, str | tuple[str, ...]]] | None = None,
    ) -> None:
        """Prepares.

        Args:
            values: the fields.
            texts: what keywords are looked for in; None: all of these values.
            more: gives further fields, when one is asked for that is not among these.
        """
        self._values = values
        self._texts = texts
        self._more = more
        self._small: dict[str, tuple[str, ...]] = {}

    def exact(self, name: str) -> tuple[str, ...]:
        """The values of a field; none when it is not there."""
        if not name:
            return self.texts()
        found = self._values.get(name, NOTHING)
        if not found and self._more is not None and name not in self._values:
            found = self._more().get(name, NOTHING)
        return (found,) if isinstance(found, str) else found

    def small(self, name: str) -> tuple[str, ...]:
        """The same in lower case."""
        try:
            return self._small[name]
        except KeyError:
            found = self.exact(name)
            # Nearly always it is one value: made without the frame of a comprehension.
            small = (found[0].lower(),) if len(found) == 1 else tuple([one.lower() for one in found])
            self._small[name] = small
            return small

    def texts(self) -> tuple[str, ...]:
        """Everything in which keywords are looked for."""
        if self._texts is None:
            self._texts = tuple([one for name in self._values for one in self.exact(name)])
        return self._texts


def compiled(node: Node) -> Check:
    """The function.

    Raises:
        ValueError: an expression, network or number in it cannot be used.
    """
    if not isinstance(node, Group):
        return _test(node)
    checks = [compiled(one) for one in node.nodes]
    if node.word == "not":
        inner = checks[0]
        return lambda facts: not inner(facts)
    if len(checks) == 1:
        return checks[0]
    if node.word == "all":
        return lambda facts: _all(checks, facts)
    return lambda facts: _any(checks, facts)


def _all(checks: list[Check], facts: Facts) -> bool:
    for check in checks:  # noqa: SIM110 - all() with a generator takes twice as long, and this is the hot path
        if not check(facts):
            return False
    return True


def _any(checks: list[Check], facts: Facts) -> bool:
    for check in checks:  # noqa: SIM110 - as above
        if check(facts):
            return True
    return False


def _test(test: Test) -> Check:
    name = test.field
    if test.test == "null":
        return lambda facts: not any(facts.exact(name))
    if test.test == "exists":
        wanted = test.values[0].lower() == "true"
        return lambda facts: bool(facts.exact(name)) is wanted
    if test.test.startswith("field"):
        return _reference(test)
    if test.test == "equals" and name and not test.cased:
        chosen = frozenset(one.lower() for one in test.values)
        return lambda facts: not chosen.isdisjoint(facts.small(name))
    single = _single(test)
    read = Facts.exact if test.cased or test.test in ("re", "cidr", "lt", "lte", "gt", "gte") else Facts.small

    def check(facts: Facts) -> bool:
        for value in read(facts, name):  # noqa: SIM110 - as above
            if single(value):
                return True
        return False

    return check


def _single(test: Test) -> Single:
    """Whether one value passes."""
    values = test.values if test.cased or test.test == "re" else tuple(one.lower() for one in test.values)
    match test.test:
        case "equals":
            chosen = frozenset(values)
            # A keyword is found anywhere in a text.
            return (lambda value: any(one in value for one in values)) if not test.field else chosen.__contains__
        case "startswith":
            return lambda value: value.startswith(values)
        case "endswith":
            return lambda value: value.endswith(values)
        case "contains":
            if len(values) == 1:
                only = values[0]
                return lambda value: only in value
            return lambda value: any(one in value for one in values)
        case "glob":
            patterns = [from_glob(one if test.field else f"*{one}*") for one in values]
            return _either([searcher(one) for one in patterns])
        case "re":
            return _either([searcher(one) for one in values])
        case "cidr":
            return _in_network(test.values)
        case _:
            return _compared(test)


def _either(searchers: list[Single]) -> Single:
    return searchers[0] if len(searchers) == 1 else lambda value: any(one(value) for one in searchers)


def _reference(test: Test) -> Check:
    name, others = test.field, test.values
    read = Facts.exact if test.cased else Facts.small
    compare: Callable[[str, str], bool] = {
        "field": lambda ours, other: ours == other,
        "field_startswith": lambda ours, other: ours.startswith(other),
        "field_endswith": lambda ours, other: ours.endswith(other),
    }[test.test]

    def check(facts: Facts) -> bool:
        theirs = [value for other in others for value in read(facts, other)]
        return any(compare(ours, other) for ours in read(facts, name) for other in theirs)

    return check


def _in_network(values: tuple[str, ...]) -> Single:
    networks = [ipaddress.ip_network(one, strict=False) for one in values]

    def check(value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return any(address in one for one in networks if one.version == address.version)

    return check


def _compared(test: Test) -> Single:
    limits = [float(one) for one in test.values]
    word = test.test

    def check(value: str) -> bool:
        try:
            number = float(value)
        except ValueError:
            return False
        for limit in limits:
            if number < limit if word == "lt" else number <= limit if word == "lte" else False:
                return True
            if number > limit if word == "gt" else number >= limit if word == "gte" else False:
                return True
        return False

    return check
