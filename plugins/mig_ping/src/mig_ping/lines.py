"""A result as lines for a person: the original's, for each address. It may come from a hostile endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import coverage_lines, entries, mapping, printable
from mig_ping.outcome import REFUSED_LATENCY, TIMEOUT_LATENCY, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """For each address whether it was reached, and each try; errors and what was not tried unless ``found_only``."""
    for entry in entries(mapping(result.elements).get("addresses")):
        yield from map(printable, _address(mapping(entry)))
    if not found_only:
        yield from (printable(f"error: {error}") for error in result.errors)
        yield from coverage_lines(result.coverage)


def _address(entry: Mapping[str, JSON]) -> Iterator[str]:
    state, protocol = entry.get("state"), entry.get("protocol")
    target = f"{protocol} ping of {_target(entry)}"
    if state == State.REACHED.value:
        yield f"{target} succeeded. Target is reachable."
    elif state == State.SILENT.value:
        yield f"{target} may have succeeded. Target did not answer."
    else:
        yield f"{target} failed. Target is no reachable."
    for number, latency in enumerate(entries(entry.get("latencies")), 1):
        yield f"ping #{number} {_try(latency, is_udp=protocol == 'udp')}"
    for failure in entries(entry.get("failures")):
        yield f"{target}: {failure}"


def _target(entry: Mapping[str, JSON]) -> str:
    name = str(entry.get("destination"))
    if (port := entry.get("port")) is not None:
        name = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"{name} ({entry.get('address')})"


def _try(latency: JSON, *, is_udp: bool) -> str:
    if not isinstance(latency, int | float) or not latency:
        return "failed, reason unknown"
    if latency == TIMEOUT_LATENCY:
        return "may have succeeded (no udp response)" if is_udp else "failed, connection timed out"
    if latency == REFUSED_LATENCY:
        return "failed, target was unreachable"
    return f"succeeded in {latency:g}ms"
