"""Numbers for operators, in Prometheus' text form (https://prometheus.io/docs/instrumenting/exposition_formats/).

Counts only, never names: ``/metrics`` needs no login.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_core.api.connections import Connections

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What this process counts by itself."""

    def __init__(self, connections: Connections | None = None) -> None:
        self._connections = connections
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By method, declared path (or ``other``) and status."""
        self.polls = 0
        """Agents' polls that are open now."""
        self.streams = 0
        """Event streams that are open now."""

    def text(self, dashboard: Mapping[str, Mapping[str, int]], counters: Mapping[str, int]) -> bytes:
        """Everything, one sample a line."""
        lines: list[str] = []
        _family(lines, "mig_agents", "gauge", "agents by state", _by("state", dashboard.get("agents", {})))
        _family(lines, "mig_actions", "gauge", "actions by state", _by("state", dashboard.get("actions", {})))
        _family(
            lines,
            "mig_commands",
            "gauge",
            "commands of the last 24 hours by state",
            _by("state", dashboard.get("commands", {})),
        )
        _family(
            lines, "mig_alarms", "gauge", "what somebody should look into", _by("name", dashboard.get("alarms", {}))
        )
        _family(lines, "mig_events_total", "counter", "what happened, by name", _by("name", counters))
        _family(
            lines,
            "mig_http_requests_total",
            "counter",
            "requests answered by this process",
            (
                (f'method="{method}",route="{_quoted(route)}",status="{status}"', count)
                for (method, route, status), count in sorted(self.requests.items())
            ),
        )
        _family(lines, "mig_poll_waiters", "gauge", "open polls of agents", [("", self.polls)])
        _family(lines, "mig_event_streams", "gauge", "open event streams of investigators", [("", self.streams)])
        if self._connections is not None:
            counts = {who.value: number for who, number in self._connections.counts.items()}
            _family(lines, "mig_connections", "gauge", "open connections, by who they are", _by("who", counts))
            _family(
                lines,
                "mig_connections_cut_total",
                "counter",
                "connections ended from this side, by reason",
                _by("why", self._connections.cut),
            )
        return "\n".join([*lines, ""]).encode()


def _by(label: str, numbers: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return ((f'{label}="{_quoted(str(name))}"', count) for name, count in sorted(numbers.items()))


def _family(lines: list[str], name: str, kind: str, text: str, samples: Iterable[tuple[str, float]]) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
