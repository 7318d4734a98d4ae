"""The tries at one address, added up: an entry of the elements, which is a row."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from mig_core.records import dataclass, field
from mig_ping.outcome import State

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_ping.outcome import Outcome
    from mig_ping.request import Request

_BEST_FIRST = tuple(State)


@dataclass(slots=True)
class Reach:
    """What the tries at one address came to."""

    request: Request
    address: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The best that any try ended with."""
        return min((one.state for one in self.outcomes), key=_BEST_FIRST.index)

    @property
    def is_found(self) -> bool:
        """Whether it answered; or, by UDP, at least did not refuse."""
        return self.state in (State.REACHED, State.SILENT)

    @property
    def resolved(self) -> str:
        """``H:P (IP)`` as the original wrote it; brackets around an IPv6 address before a port."""
        name = self.request.destination
        if self.request.has_port:
            name = f"[{name}]" if ":" in name else name
            name = f"{name}:{self.request.port}"
        return f"{name} ({self.address})"

    def latencies(self) -> list[JSON]:
        """The original's numbers, one a try."""
        return [one.latency for one in self.outcomes]

    def failures(self) -> list[JSON] | None:
        """What went wrong, each once and in order; None where nothing did, as the original has it."""
        return list(dict.fromkeys(one.problem for one in self.outcomes if one.problem)) or None

    def to_json(self) -> dict[str, JSON]:
        """The entry of the elements."""
        times = [one.milliseconds for one in self.outcomes if one.state is State.REACHED]
        entry: dict[str, JSON] = {
            "destination": self.request.destination,
            "address": self.address,
            "protocol": self.request.protocol,
            "state": self.state.value,
            "reached": None if self.state in (State.SILENT, State.FAILED) else self.state is State.REACHED,
            "tries": len(self.outcomes),
            "answers": len(times),
            "latencies": self.latencies(),
        }
        if self.request.has_port:
            entry["port"] = self.request.port
        if times:
            entry["latency"] = round(median(times) / 1000, 6)
        if failures := self.failures():
            entry["failures"] = failures
        return entry
