"""What was found as the rows of a result, in the original's form.

Row: ``{"process": {"name", "pid", …}, "search": {…}}``. ``search`` echoes what was asked: all of it with ``matchall``,
else the one check that hit. Where nothing was found there is one row whose process has no name and id 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_memory.search import CheckKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.domain.document import JSON
    from mig_memory.evaluation import Slot
    from mig_memory.search import Search

_MASKED = ("user", "executable", "container")


def elements(searches: Iterable[Search], slots: Iterable[Slot]) -> dict[str, JSON]:
    """The rows of all searches, by label: at least one for each slot."""
    found: dict[str, list[JSON]] = {one.label: [] for one in searches}
    for slot in slots:
        echo = _echo(slot)
        processes: list[dict[str, JSON]] = sorted(slot.hits, key=_pid) or [{"name": "", "pid": 0}]
        found[slot.search.label] += [{"process": one, "search": echo} for one in processes]
    return dict(found.items())


def _pid(described: dict[str, JSON]) -> int:
    return described["pid"] if isinstance(described["pid"], int) else 0


def _echo(slot: Slot) -> dict[str, JSON]:
    """What was asked; the limits are left out, as the original does."""
    if slot.check is not None:
        return {slot.check.kind.value: [slot.check.text], "options": {}}
    search = slot.search
    echo: dict[str, JSON] = {"description": search.description} if search.description else {}
    for kind in CheckKind:
        if checks := search.of(kind):
            echo[kind.value] = [one.text for one in checks]
    options: dict[str, JSON] = {"matchall": True}
    options |= {"logfailures": True} if search.logfailures else {}
    options |= {"nofiles": True} if search.extent.nofiles else {}
    options |= {"wide": True} if search.wide else {}
    return echo | {"options": options}


def masked(found: JSON) -> JSON:
    """The rows without owners, containers and the paths behind ``[comm]`` names. The names themselves stay."""
    if not isinstance(found, dict):
        return found
    return {label: [_masked_row(row) for row in one] if isinstance(one, list) else one for label, one in found.items()}


def _masked_row(row: JSON) -> JSON:
    process = row.get("process") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(process, dict):
        return row
    return row | {"process": process | {key: "masked" for key in _MASKED if key in process}}
