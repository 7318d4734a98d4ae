"""Numbers for Prometheus: what this process counts by itself, and what the database knows of the platform.

Counts only, never names: ``/metrics`` needs no login. What the database knows is the same at every mig-api; what a
process counts is its own.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

from mig_core.api.workers import added
from mig_core.authorization import Check
from mig_core.exposition import MEDIA_TYPE, Exposition, Samples, compared, counter, gauge, histogram, version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prometheus_client import Metric

    from mig_core.api.connections import Connections
    from mig_core.api.workers import Place
    from mig_core.store.rows import Watched

__all__ = ["MEDIA_TYPE", "Metrics"]
REFUSED = "refused."
"""What counters of refusals begin with; the rest is the check."""

ALARMING = tuple(
    f"{kind}.{fate}" for kind in ("result", "heartbeat", "enrolment") for fate in ("forged", "foreign", "malformed")
)
"""Told from the beginning: Prometheus does not see the first of a counter that begins with it."""


class Metrics:
    """What this process counts by itself, and how all of it is told.

    Args:
        connections: counts connections.
        state: mig-api's folder; the room on its disk is told.
    """

    def __init__(
        self, connections: Connections | None = None, state: Path | None = None, place: Place | None = None
    ) -> None:
        self._connections = connections
        self._state = state
        self._exposition = Exposition("api")
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, declared path (or ``other``) and status."""
        self.polls = 0
        """Agents' polls that are open now."""
        self.streams = 0
        """Event streams that are open now."""
        self._place = place
        self._before = {} if place is None else place.board.read(place.number)
        """What the worker had counted whose place this one took."""

    def text(
        self, dashboard: Mapping[str, Mapping[str, int]], counters: Mapping[str, int], watched: Watched | None = None
    ) -> bytes:
        """Everything, one sample a line."""
        families = [*self._platform(dashboard, counters), *self._process()]
        if watched is not None:
            families += _watched(watched)
        return self._exposition.text(families)

    def _platform(self, dashboard: Mapping[str, Mapping[str, int]], counters: Mapping[str, int]) -> Iterator[Metric]:
        yield gauge("mig_agents", "agents by state", _by(dashboard.get("agents", {})), ["state"])
        yield gauge("mig_actions", "actions by state", _by(dashboard.get("actions", {})), ["state"])
        last_day = _by(dashboard.get("commands", {}))
        yield gauge("mig_commands", "commands of the last 24 hours by state", last_day, ["state"])
        yield gauge("mig_alarms", "what somebody should look into", _by(dashboard.get("alarms", {})), ["name"])
        releases: Counter[str] = Counter()
        for theirs, count in dashboard.get("versions", {}).items():
            releases[compared(theirs, version())] += count
        yield gauge("mig_agents_by_release", "agents online, beside this mig-api's release", _by(releases), ["release"])
        refused = dict.fromkeys((*(one.value for one in Check), "other"), 0)
        refused |= {name.removeprefix(REFUSED): n for name, n in counters.items() if name.startswith(REFUSED)}
        yield counter("mig_refusals", "commands that agents refused, by the check", _by(refused), ["check"])
        others = dict.fromkeys(ALARMING, 0)
        others |= {name: n for name, n in counters.items() if not name.startswith(REFUSED)}
        yield counter("mig_events", "what happened, by name", _by(others), ["name"])

    def publish(self) -> None:
        """Tells the other workers what this one counts; once a second, if there are others."""
        if self._place is not None:
            self._place.board.write(self._place.number, self._own())

    def _own(self) -> dict[str, Any]:
        """What this process counts, and what the worker before it in its place counted."""
        known = self._connections
        grown = {
            "requests": {f"{method} {route} {status}": n for (method, route, status), n in self.requests.items()},
            "cut": {} if known is None else dict(known.cut),
        }
        before = {name: self._before.get(name, {}) for name in grown}
        now = {who.value: n for who, n in known.counts.items()} if known is not None else {}
        return {**added([grown, before]), "polls": self.polls, "streams": self.streams, "connections": now}

    def _numbers(self) -> dict[str, Any]:
        """Of all workers."""
        if self._place is None:
            return self._own()
        others = [one for one in range(self._place.workers) if one != self._place.number]
        return added([self._own(), *map(self._place.board.read, others)])

    def _process(self) -> Iterator[Metric]:
        numbers = self._numbers()
        requests: Samples = {
            (method, route, status): n
            for (method, route, status), n in sorted((key.split(), n) for key, n in numbers["requests"].items())
        }
        what = "requests answered by this mig-api"
        yield counter("mig_http_requests", what, requests, ["method", "route", "status"])
        yield gauge("mig_poll_waiters", "open polls of agents", numbers["polls"])
        yield gauge("mig_event_streams", "open event streams of investigators", numbers["streams"])
        if self._connections is not None:
            counts = _by(numbers["connections"])
            yield gauge("mig_connections", "open connections, by who they are", counts, ["who"])
            cut = "connections ended from this side, by reason"
            yield counter("mig_connections_cut", cut, _by(numbers["cut"]), ["why"])
        if self._state is not None and self._state.exists():
            free = shutil.disk_usage(self._state).free
            yield gauge("mig_disk_free_bytes", "room on the disk of mig-api's state directory", free)


def _watched(watched: Watched) -> Iterator[Metric]:
    waiting = _by(watched.waiting)
    yield gauge("mig_queue_entries", "what waits, counted up to 100,000", waiting, ["queue"])
    oldest = "seconds that the oldest entry has waited"
    yield gauge("mig_queue_oldest_seconds", oldest, _by(watched.oldest), ["queue"])
    yield histogram(
        "mig_answer_seconds",
        "from a question's way to its first and its last answer, of actions that have ended",
        "answer",
        {kind: (buckets, watched.latency_sums.get(kind, 0.0)) for kind, buckets in watched.latencies.items()},
    )
    spool = watched.spool
    yield gauge("mig_agents_spooled_answers", "answers that wait on endpoints", spool.get("answers", 0))
    yield gauge("mig_agents_spooled_bytes", "bytes of answers that wait on endpoints", spool.get("bytes", 0))
    yield gauge("mig_database_bytes", "size of the database", watched.database_bytes)


def _by(numbers: Mapping[str, float]) -> Samples:
    return {(str(name),): number for name, number in sorted(numbers.items())}
