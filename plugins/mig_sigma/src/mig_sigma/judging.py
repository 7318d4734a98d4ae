"""Which rules match an alert: the way from its bytes to the matches, as short as it can be for those that match none.

Most alerts are never decoded as a whole. Of a program that was started the member ``process`` is, for its command line
and for who started whom; an alert in which the text of some rule's guard was found is taken apart, and only into events
of the kinds that those rules ask about.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from mig_sigma import catalogue, guards
from mig_sigma.alert import HEAD, Alert, normal
from mig_sigma.conditions import Facts
from mig_sigma.events import events_of, program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_sigma.lineage import Ancestor, Lineage
    from mig_sigma.matcher import Asked, RuleSet
    from mig_sigma.rule import Rule

_quoted = json.encoder.encode_basestring
_NAME = b'"euid_name":"'
_HINTS = {catalogue.NETWORK: b'"family":"inet', catalogue.AUDITD: b'"record_types":', catalogue.ANY: b'"record_types":'}
"""Kind -> what is in every alert that has an event of it."""


class Match(NamedTuple):
    """A rule that matches."""

    rule: Rule
    alert: dict[str, Any]
    """Decoded."""


class Judge:
    """Asks rules about alerts. Used by one thread."""

    def __init__(self, lineage: Lineage, hostname: str) -> None:
        """Prepares.

        Args:
            lineage: who started whom; told of every program that starts.
            hostname: this endpoint's.
        """
        self._lineage = lineage
        self._hostname = hostname

    def judge(self, rules: RuleSet, module: str, raw: bytes) -> list[Match]:
        """The rules that match, each once.

        Raises:
            ValueError: the alert is no JSON object, or not of a shape that is known; of others, too, like KeyError.
        """
        # 1. What of the alert is needed in any case: a program that starts.
        alert = Alert(raw if raw.startswith(HEAD) and b"\\u" not in raw else normal(raw))
        raw = alert.raw
        started = _started(alert) if module == "audit" else None
        line = raw
        user: str | None = None
        parent: Ancestor | None = None
        if started is not None:
            user = _user(raw)
            self._lineage.started(started, user or "")
            parent = self._lineage.of(started.get("ppid"))
            line += _behind(started, parent)
        # 2. The rules that can match.
        asked = rules.asked(guards.line(line))
        for kind, always in rules.always.items():
            if started is not None if kind == catalogue.PROCESS else _HINTS.get(kind, b"") in raw:
                asked[kind] = asked.get(kind, []) + always
        # 3. Of a program that starts, what is asked most is known already; everything else is in the alert.
        found: dict[str, Rule] = {}
        programs = asked.pop(catalogue.PROCESS, ())
        if programs and started is not None:
            _ask(programs, Facts(program(started, parent, user, alert.time(), self._hostname)), found)
        if asked:
            for event in events_of(module, alert, frozenset(asked), _records(asked), self._hostname):
                _ask(asked[event.kind], event.facts, found)
        return [Match(rule, alert.whole()) for rule in found.values()]


def _ask(rules: Sequence[Any], facts: Facts, found: dict[str, Rule]) -> None:
    for rule, check, _records in rules:
        if rule.id not in found and check(facts):
            found[rule.id] = rule


def _records(asked: Mapping[str, Asked]) -> frozenset[str] | None:
    """The types of audit records that rules ask about; None for all."""
    types = [records for _rule, _check, records in asked.get(catalogue.AUDITD, ())]
    return None if None in types else frozenset().union(*(one for one in types if one is not None))


def _started(alert: Alert) -> dict[str, Any] | None:
    """The member ``process`` of a program's successful start."""
    if b'"syscall":{"name":"execve' not in alert.raw or not alert.result():
        return None
    process = alert.get("process")
    return process if isinstance(process, dict) else None


def _behind(process: Mapping[str, Any], parent: Ancestor | None) -> bytes:
    """What a program's event gets here, in the form of the alert."""
    words = process.get("arguments")
    texts = [" ".join(map(str, words)) if isinstance(words, list) else ""]
    if parent is not None:
        texts += (parent.program, parent.command)
    return ("[" + ",".join(map(_quoted, texts)) + "]").encode("utf-8", "replace")


def _user(raw: bytes) -> str | None:
    start = raw.find(_NAME)
    if start < 0:
        return None
    start += len(_NAME)
    name = raw[start : raw.find(b'"', start)]
    # A name with an escape in it is read with the rest, where somebody asks for it.
    return name.decode("utf-8", "replace") if b"\\" not in name else None
