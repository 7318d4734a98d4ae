"""What an assistant can read of packs (entry point ``mig.assistant``)."""

from __future__ import annotations

from typing import Any

from mig_core.domain.action import MAX_OPERATIONS
from mig_sweep.pack import all_packs, pack_of


def packs(name: str = "") -> dict[str, Any]:
    """Questions that are ready to be asked, written by people who know what to look for. With a `name`: its operations,
    to be proposed one by one, its target, and how to read the answers. Of a list of indicators, `indicators` are the
    lines of the list; rows of the operations may be signs of them, and `where` is a condition that leaves out those
    which are none for certain. `unasked` says what one question has no room for."""
    if not name:
        return {"packs": {one.name: one.question for one in all_packs()}}
    pack = pack_of(name)
    operations, lines, where, unasked = list(pack.operations), [], "", ""
    if pack.indicators.strip():
        from mig_sweep.documents.lists import read_list
        from mig_sweep.narrowing import condition_of
        from mig_sweep.plan import Settings, plan_of

        plan = plan_of(read_list(pack.indicators, pack.name), Settings())
        lines = [one for one in map(str.strip, pack.indicators.splitlines()) if one]
        if len(plan.actions) > 1 or plan.operations + len(operations) > MAX_OPERATIONS:
            unasked = "its indicators are more than one question has room for"
        elif plan.refused:
            unasked = f"{len(plan.refused)} of its indicators cannot be asked"
        else:
            operations = [*(one for action in plan.actions for one in action), *operations]
            where = "" if pack.operations else condition_of(plan.indicators)
    return {
        "name": pack.name,
        "question": pack.question,
        "reading": pack.reading,
        "references": list(pack.references),
        "target": pack.target,
        "operations": [{"module": one.module, "parameters": one.parameters} for one in operations],
        "indicators": lines,
        "where": where,
        "unasked": unasked,
    }
