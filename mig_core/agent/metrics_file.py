"""The agent's numbers, for Prometheus' node_exporter: a file for its textfile collector, written with each heartbeat.

An endpoint gets no listener, no library and no further process for it. The format is the text form of
https://prometheus.io/docs/instrumenting/exposition_formats/; node_exporter adds when the file was written.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)

_MOST_SAMPLES = 500
"""Of one family; there are never so many, unless something makes names."""


class MetricsFile:
    """Writes the file. Used by one thread.

    Args:
        path: of the file, like ``/var/lib/prometheus/node-exporter/mig-agent.prom``.
        facts: the agent's facts now.
        statistics: its counters now.
        persistent: the health of its persistent modules now.
    """

    def __init__(
        self,
        path: Path,
        *,
        facts: Callable[[], AgentFacts],
        statistics: Callable[[], Mapping[str, int]],
        persistent: Callable[[], Mapping[str, JSON]],
    ) -> None:
        self._path = path
        self._facts = facts
        self._statistics = statistics
        self._persistent = persistent
        self._told = ""

    def write(self, spool: Mapping[str, JSON], *, connected: bool) -> None:
        """Replaces the file; a disk that does not take it is logged once.

        Args:
            spool: what waits for the relay, as heartbeats say it.
            connected: whether messages can arrive.
        """
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            new.unlink(missing_ok=True)
            # Others may own this folder: nothing of theirs is followed or written to.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(new, flags, 0o644), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(self._text(spool, connected=connected))
            new.replace(self._path)
        except OSError as error:
            if str(error) != self._told:
                log.warning("the metrics cannot be written: %s", error)
            self._told = str(error)
        else:
            self._told = ""

    def _text(self, spool: Mapping[str, JSON], *, connected: bool) -> str:
        facts, lines = self._facts(), list[str]()
        build = {"version": facts.version, "python": "{}.{}.{}".format(*sys.version_info)}
        _family(lines, "build_info", "gauge", "always 1; which release this is", [(build, 1)])
        _family(lines, "module_info", "gauge", "always 1; a module that is installed", _each("module", facts.modules))
        _family(lines, "failures", "gauge", "what cannot be used here", [({}, len(facts.failures))])
        _family(lines, "connected", "gauge", "1: messages can arrive", [({}, int(connected))])
        events = [({"name": name}, number) for name, number in sorted(self._statistics().items())]
        _family(lines, "events", "gauge", "what the agent counted since its start, by name", events)
        for name, text in (
            ("answers", "answers that wait for the relay"),
            ("bytes", "bytes of answers that wait for the relay"),
            ("limit", "most bytes of answers that may wait"),
        ):
            if (value := _number(spool, name)) is not None:
                _family(lines, f"spool_{name}", "gauge", text, [({}, value)])
        if (free := _number(spool, "disk_free")) is not None:
            _family(lines, "disk_free_bytes", "gauge", "room on the disk of the agent's state", [({}, free)])
        states = [
            ({"module": name}, int(isinstance(health, dict) and health.get("state") == "running"))
            for name, health in sorted(self._persistent().items())
        ]
        _family(lines, "persistent_up", "gauge", "1: the persistent module runs", states)
        return "\n".join([*lines, ""])


def _family(
    lines: list[str], name: str, kind: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> None:
    lines += [f"# HELP mig_agent_{name} {text}", f"# TYPE mig_agent_{name} {kind}"]
    for labels, number in list(samples)[:_MOST_SAMPLES]:
        shown = ",".join(f'{label}="{_quoted(value)}"' for label, value in labels.items())
        lines.append(f"mig_agent_{name}{{{shown}}} {number}" if shown else f"mig_agent_{name} {number}")


def _each(label: str, values: Iterable[str]) -> list[tuple[Mapping[str, str], float]]:
    return [({label: value}, 1) for value in values]


def _number(spool: Mapping[str, JSON], name: str) -> float | None:
    value = spool.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
