"""How long to wait for answers: ``--wait found:1``, ``--wait 95%``, ``--wait 20``, ``--no-wait-offline``."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.client.client import MigClient

Document = dict[str, Any]
OPEN = ("queued", "sent")
TICK = 2
"""Seconds between two looks at whether anybody who can answer is left."""
MOST_LOOKED_AT = 500
"""Open commands whose agents are looked up; with more, somebody is surely there."""
_RULE = re.compile(r"(?:found:([0-9]{1,9})|([0-9]{1,3})%|([0-9]{1,9}))")


@dataclass(frozen=True, slots=True)
class Waiting:
    """When there are enough answers; by default when each agent's is there or the window has ended."""

    found: int = 0
    percent: int = 0
    answers: int = 0
    offline: bool = True
    """Whether agents that are offline are waited for."""

    @property
    def tick(self) -> int:
        """How often it must be asked although nothing was heard, in seconds; 0: never."""
        return 0 if self.offline else TICK

    def enough(self, done: int, found: int, targeted: int) -> str:
        """Why no more answers are waited for; empty: there are not enough yet."""
        if self.found and found >= self.found:
            return f"{found} found something"
        if self.percent and targeted and 100 * done >= self.percent * targeted:
            return f"{100 * done // targeted}% answered"
        return f"{done} answered" if self.answers and done >= self.answers else ""


class OfflineWatch:
    """Looks now and then whether all who have not answered are offline."""

    def __init__(self, client: MigClient, waiting: Waiting) -> None:
        self._client = client
        self._waits = waiting.offline
        self._next = 0.0

    def nobody_left(self, action: Document) -> str:
        """Why nobody is waited for any more; empty: somebody may still answer."""
        open_commands = sum(action["counts"].get(state, 0) for state in OPEN)
        if self._waits or not action["targeted"] or not open_commands or time.monotonic() < self._next:
            return ""
        self._next = time.monotonic() + TICK
        left = list(self._client.commands(str(action["id"]), states=OPEN, limit=MOST_LOOKED_AT + 1))
        if not left or len(left) > MOST_LOOKED_AT:
            return ""
        names = ", ".join(f"'{one['agent']}'" for one in left)
        there = self._client.agents(target=f"id IN ({names})", states=("online", "idle"), limit=1)
        return "" if any(True for _ in there) else f"{len(left)} who have not answered are offline"


def waiting_of(rule: str, *, offline: bool) -> Waiting:
    """What was typed.

    Raises:
        typer.BadParameter: it is no rule.
    """
    if not rule:
        return Waiting(offline=offline)
    parts = _RULE.fullmatch(rule)
    if parts is None or int(parts[2] or 0) > 100 or not any(int(one) for one in parts.groups() if one):
        import typer

        raise typer.BadParameter(f"--wait: must be like found:1, 95% or 20 (answers), got {rule!r:.60}")
    return Waiting(int(parts[1] or 0), int(parts[2] or 0), int(parts[3] or 0), offline)
