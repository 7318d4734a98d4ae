"""How patient the supervisor of persistent modules is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds."""

    start: float = 120.0
    """From a process's start until it says that it listens: an endpoint that boots, or is out of breath, is slow."""
    ping: float = 10.0
    missed_pings: int = 3
    """So many pings without an answer mean that a module hangs."""
    first_pause: float = 1.0
    longest_pause: float = 60.0
    settled: float = 60.0
    """Whoever ran so long begins with the first pause again."""
    sources_end: float = 2.0
    """From the stop to the sources' end by force."""
    detected: float = 1.6
    """From the stop until detectors are told to stop, though sources still run or copies are left."""
    detectors_end: float = 2.4
    """From the stop to the detectors' end by force."""
    drained: float = 2.8
    """From the stop until the sink is told to stop, though it has not taken everything."""
    all_end: float = 4.2
