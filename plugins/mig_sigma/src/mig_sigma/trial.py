"""Rules over recorded alerts: ``mig sigma test``. The same evaluation as on an endpoint, without its ``/proc``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_core.domain.document import dump
from mig_sigma.judging import Judge
from mig_sigma.lineage import Lineage
from mig_sigma.matcher import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mig_sigma.rule import Rule


def matches(rules: Sequence[Rule], lines: Iterable[bytes], module: str) -> Iterator[tuple[int, Rule, dict[str, Any]]]:
    """Line number, rule and alert of each match; lines that are no alert are passed over.

    Args:
        rules: to be tried.
        lines: alerts as JSON, as ``dispatch`` sends them (``{"module", "alert"}``) or bare.
        module: whose alerts bare ones are.
    """
    in_force = RuleSet(rules)
    judge = Judge(Lineage(""), "")
    for number, line in enumerate(lines, 1):
        try:
            alert = json.loads(line)
            source = module
            if isinstance(alert, dict) and isinstance(alert.get("alert"), dict):
                source, alert = str(alert.get("module", module)), alert["alert"]
            found = judge.judge(in_force, source, dump(alert))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            continue
        for match in found:
            yield number, match.rule, match.alert
