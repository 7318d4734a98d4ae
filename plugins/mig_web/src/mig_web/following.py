"""Following an action: one thread for each that somebody looks at, over the API's event stream.

It goes through every answer once, keeps none, and books for the page what was not looked at and where; so an action
that has ended is gone through too. What it keeps is bounded, whatever endpoints send.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mig_core.errors import ApiUnavailable, MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.client.client import MigClient

log = logging.getLogger(__name__)

MOST_SHORTFALLS = 200
"""Different reasons that are kept apart; all others are counted together."""
NAMED_AGENTS = 20
"""Agents that are named for a reason."""
LONGEST_REASON = 300
RECENT = 8
TICK = 5
"""Seconds after which a quiet stream lets the thread look whether anybody still watches."""
LATE = TICK + 3
"""Seconds without a word after which the page says so."""
PATIENCE = 60.0
"""Seconds that an action is followed after the last one who watched has gone."""
MOST_FOLLOWED = 8
"""Actions beyond that are kept only as long as somebody watches."""
WATCHED = 5.0
"""Seconds after which one that nobody asked for is not watched."""
OTHERS = "other reasons"
LARGEST_COUNT = 1 << 53


@dataclass(slots=True)
class Shortfall:
    """Why some answers say nothing, or not everything."""

    kind: str
    """``not looked at``, or the state of a command that did not succeed."""
    reason: str
    agents: int = 0
    things: int = 0
    """What was skipped, over all agents; 0 where it is the whole answer."""
    named: list[tuple[str, str]] = field(default_factory=list)
    """Id and name of the first of the agents."""


class Following:
    """One action as it is being followed. Its thread writes; pages read."""

    def __init__(self, client: MigClient, action: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._id = action
        self._monotonic = monotonic
        self._wanted = monotonic()
        self._stopped = False
        self.action: dict[str, Any] = {}
        """The API's document, when last heard of."""
        self.looked_through = 0
        """Ended commands that were gone through."""
        self.examined: dict[str, int] = {}
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self.ended = False
        self.trouble = ""
        self.again = False
        """Whether the trouble is one that passes: the platform cannot be reached."""
        self._heard = monotonic()
        self.version = 0
        """Grows with every change."""
        self._shortfalls: dict[tuple[str, str], Shortfall] = {}
        self._thread = threading.Thread(target=self._run, name=f"follow-{action[:13]}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it is still being gone through."""
        return self._thread.is_alive()

    @property
    def watched(self) -> bool:
        """Whether somebody looks at it just now."""
        return self._monotonic() - self._wanted < WATCHED

    @property
    def unheard(self) -> float:
        """Seconds since the platform last said something of it, be it that nothing is new."""
        return self._monotonic() - self._heard

    def touch(self) -> None:
        """Somebody watches."""
        self._wanted = self._monotonic()

    def stop(self) -> None:
        """Nobody needs it any more; the thread ends by itself."""
        self._stopped = True

    def shortfalls(self) -> list[Shortfall]:
        """What was not looked at, the most agents first."""
        return sorted(self._shortfalls.values(), key=lambda one: (-one.agents, one.kind, one.reason))

    def _run(self) -> None:
        try:
            for event in self._client.follow(self._id, tick=TICK):
                self._heard = self._monotonic()
                if self._stopped or self._monotonic() - self._wanted > PATIENCE:
                    return
                if event.kind == "command":
                    self._take(event.data)
                elif event.kind in ("action", "end"):
                    self.action = event.data
                    self.ended = event.kind == "end"
                if event.kind != "tick":
                    self.version += 1
        except MigError as error:
            self.again = isinstance(error, ApiUnavailable)
            self.trouble = "\n".join(error.diagnostics().lines())
            self.version += 1
        except Exception:
            if not self._stopped:  # a connection that is closed under it when the program ends is no defect
                log.exception("following %s: a defect", self._id)
                self.trouble = "A fault of mig web; the terminal it runs in tells more."
                self.version += 1

    def _take(self, command: dict[str, Any]) -> None:
        self.looked_through += 1
        shown = ("agent", "agentname", "state", "reason", "found", "complete", "finished")
        self.recent.appendleft({key: command.get(key) for key in shown})
        touched: list[Shortfall] = []
        if command.get("state") != "success":
            touched.append(self._shortfall(str(command.get("state")), str(command.get("reason") or "")))
        skips = list(_skipped(command))
        for reason, count in skips:
            found = self._shortfall("not looked at", reason)
            found.things += count
            touched.append(found)
        if command.get("state") == "success" and command.get("complete") is False and not skips:
            touched.append(self._shortfall("not looked at", "the run was cut short"))
        for found in {id(one): one for one in touched}.values():  # an agent may give a reason for several things
            found.agents += 1
            if len(found.named) < NAMED_AGENTS:
                found.named.append((str(command.get("agent")), str(command.get("agentname"))))
        for kind, count in _examined(command):
            if kind in self.examined or len(self.examined) < MOST_SHORTFALLS:
                self.examined[kind] = self.examined.get(kind, 0) + count

    def _shortfall(self, kind: str, reason: str) -> Shortfall:
        key = (kind, reason[:LONGEST_REASON])
        if key not in self._shortfalls and len(self._shortfalls) >= MOST_SHORTFALLS:
            key = (kind, OTHERS)
        return self._shortfalls.setdefault(key, Shortfall(*key))


class Followings:
    """All actions that are followed; the oldest that nobody watches give way."""

    def __init__(self, client: Callable[[], MigClient]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._kept: dict[str, Following] = {}

    def of(self, action: str) -> Following:
        """The following of an action, begun where there is none that goes on or has come to the end."""
        with self._lock:
            found = self._kept.pop(action, None)
            if found is None or found.trouble or not (found.ended or found.alive):
                found = Following(self._client(), action)
            self._kept[action] = found
            found.touch()
            unwatched = [name for name, one in self._kept.items() if not one.watched]
            for name in unwatched[: max(0, len(self._kept) - MOST_FOLLOWED)]:
                self._kept.pop(name).stop()
            return found

    def stop(self) -> None:
        """Ends all."""
        with self._lock:
            for one in self._kept.values():
                one.stop()


def _coverages(command: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for result in command.get("results") or ():
        coverage = result.get("coverage") if isinstance(result, dict) else None
        if isinstance(coverage, dict):
            yield coverage


def _skipped(command: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for coverage in _coverages(command):
        for one in coverage.get("skipped") or ():
            if isinstance(one, dict):
                yield str(one.get("reason")), _count(one.get("count"))


def _examined(command: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for coverage in _coverages(command):
        examined = coverage.get("examined")
        if isinstance(examined, dict):
            yield from ((str(kind)[:40], _count(count)) for kind, count in examined.items())


def _count(value: object) -> int:
    """A number that an endpoint gives; one below nothing or beyond all measure counts as none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT else 0
