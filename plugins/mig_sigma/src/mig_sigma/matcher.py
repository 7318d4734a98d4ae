"""Many rules, of which few are asked about an alert: those a text of whose guard is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_sigma.conditions import compiled
from mig_sigma.guards import best_guard
from mig_sigma.rule import Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_sigma.conditions import Check
    from mig_sigma.rule import Node, Rule

    Asked = list[tuple[Rule, Check, frozenset[str] | None]]
    """Rule, its function, and the types of audit records that it asks about (None: all)."""


class RuleSet:
    """All rules that are in force."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Prepares; rules that cannot be evaluated are left out."""
        from mig_endpoint.regex.words import Words

        self.unusable: dict[str, str] = {}
        """Rule id -> why it is not evaluated."""
        self.always: dict[str, Asked] = {}
        """Kind -> rules to ask about every event of it."""
        self._rules: Asked = []
        owners: dict[str, list[int]] = {}
        for rule in rules:
            try:
                check = compiled(rule.condition)
            except ValueError as error:
                self.unusable[rule.id] = str(error)
                continue
            one = (rule, check, _record_types(rule.condition))
            guard = best_guard(rule.kind, rule.condition)
            if guard is None:
                self.always.setdefault(rule.kind, []).append(one)
            for text in guard or ():
                owners.setdefault(text, []).append(len(self._rules))
            self._rules.append(one)
        self._owners = list(owners.values())
        self._words = Words([text.encode() for text in owners]) if owners else None
        self.count = len(self._rules)

    def asked(self, line: bytes) -> dict[str, Asked]:
        """Kind -> rules that may match, besides those that are always asked.

        Args:
            line: the alert, and what belongs to it, as :func:`mig_sigma.guards.line` gives it.
        """
        if self._words is None:
            return {}
        numbers = {number for text in self._words.found(line) for number in self._owners[text]}
        by_kind: dict[str, Asked] = {}
        for number in sorted(numbers):
            one = self._rules[number]
            by_kind.setdefault(one[0].kind, []).append(one)
        return by_kind


def _record_types(node: Node) -> frozenset[str] | None:
    """The types, in lower case, one of which the record of every match has; None when that is not said."""
    if not isinstance(node, Group):
        known = node.field == "type" and node.test == "equals"
        return frozenset(one.lower() for one in node.values) if known else None
    if node.word == "not":
        return None
    found = [_record_types(one) for one in node.nodes]
    if node.word == "all":
        return next((one for one in found if one is not None), None)
    return None if None in found else frozenset().union(*(one for one in found if one is not None))
