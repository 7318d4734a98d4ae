"""What one source says about this endpoint's clock: an entry of the elements, which is a row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

SERVER = "server"
"""The source of what a server answered to us; others are named for the program that said it."""
LEAPS = ("none", "insert", "delete", "unknown")
"""What the two bits of the leap indicator mean, RFC 5905 figure 9."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """What one source says. None is what it does not say."""

    source: str
    server: str = ""
    """Whom it asked, or follows."""
    address: str = ""
    synchronized: bool | None = None
    """Whether it follows a clock that it holds to be right."""
    offset: float | None = None
    """Seconds to be added to this endpoint's clock: positive where it is behind."""
    error: float | None = None
    """Seconds that the offset may be off by, as far as the source knows."""
    round_trip: float | None = None
    stratum: int | None = None
    leap: str = ""
    updated: float | None = None
    """When it was synchronized last, in seconds since 1970."""
    usable: bool = False
    """Whether its offset counts."""
    problem: str = ""
    """Why it does not."""
    told: float | None = None
    """The time that a server told, in seconds since 1970."""

    def to_json(self) -> dict[str, JSON]:
        """The entry of the elements: what is known."""
        entry: dict[str, JSON] = {"source": self.source}
        for name in ("server", "address", "leap", "problem"):
            if text := getattr(self, name):
                entry[name] = text
        for name in ("synchronized", "offset", "error", "round_trip", "stratum"):
            if (value := getattr(self, name)) is not None:
                entry[name] = round(value, 9) if isinstance(value, float) else value
        if self.updated is not None and 0 <= self.updated < _END:
            entry["updated"] = format_time(datetime.fromtimestamp(round(self.updated), UTC))
        entry["usable"] = self.usable
        return entry


_END = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
