"""Rules over recorded alerts: ``mig sigma test``. The same evaluation as on an endpoint, without its ``/proc``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mig_core.domain.document import dump
from mig_sigma.judging import Judge
from mig_sigma.lineage import Lineage
from mig_sigma.matcher import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mig_sigma.rule import Rule


FILES = frozenset({"file_change", "file_changes", "package_changes"})
"""Types of the alerts of ``fswatch``; those of ``audit`` are the kernel's record types."""


@dataclass(slots=True)
class Tried:
    """How many lines there were."""

    alerts: int = 0
    passed_over: int = 0
    """No alerts, or of a shape that is not known."""


def matches(
    rules: Sequence[Rule], lines: Iterable[bytes], module: str, tried: Tried
) -> Iterator[tuple[int, Rule, dict[str, Any]]]:
    """Line number, rule and alert of each match.

    Args:
        rules: to be tried.
        lines: alerts as JSON, as ``dispatch`` writes them (``{"hostname", …, "event"}``), with their module
            (``{"module", "alert"}``) or bare.
        module: whose alerts those are that do not tell; empty: what their type says.
        tried: is counted in.
    """
    in_force = RuleSet(rules)
    judge = Judge(Lineage(""), "")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            source, alert = _alert(json.loads(line))
            found = judge.judge(in_force, source or module or _source(alert), dump(alert))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            tried.passed_over += 1
            continue
        tried.alerts += 1
        for match in found:
            yield number, match.rule, match.alert


def _alert(record: Any) -> tuple[str, dict[str, Any]]:
    """The module that a record names, perhaps none, and its alert."""
    for member in ("event", "alert"):
        if "type" not in record and isinstance(record.get(member), dict):
            return str(record.get("module", "")), record[member]
    if "type" not in record:
        raise ValueError("is no alert")
    return "", record


def _source(alert: dict[str, Any]) -> str:
    return "fswatch" if alert.get("type") in FILES else "audit"
