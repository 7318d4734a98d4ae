"""The bar of an action: what became of it at every agent that was asked, in parts that sum up to their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ORDER = ("success", "partial", "failed", "refused", "timeout", "killed", "cancelled", "expired", "sent", "queued")
WORDS = {
    "success": "answered",
    "partial": "answered, not completely",
    "sent": "asked, not answered yet",
    "queued": "not handed over yet, or just now",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One state: how many, and where its part of the bar begins and how wide it is, in percent."""

    state: str
    word: str
    count: int
    start: float
    width: float


def parts_of(action: dict[str, Any]) -> list[Part]:
    """The parts of an action's bar. ``partial`` answers are taken out of those that succeeded."""
    counts = {state: int(number) for state, number in action["counts"].items() if number}
    partial = min(int(action.get("partial") or 0), counts.get("success", 0))
    if partial:
        counts["success"] -= partial
        counts["partial"] = partial
    whole = max(sum(counts.values()), 1)
    parts, start = [], 0.0
    for state in [*ORDER, *(one for one in counts if one not in ORDER)]:
        if not (count := counts.get(state, 0)):
            continue
        width = 100 * count / whole
        parts.append(Part(state, WORDS.get(state, state), count, round(start, 3), round(width, 3)))
        start += width
    return parts


def unaccounted(action: dict[str, Any]) -> int:
    """Agents that were asked and are in no state: never any, and said if there were."""
    return int(action["targeted"]) - sum(int(number) for number in action["counts"].values())
