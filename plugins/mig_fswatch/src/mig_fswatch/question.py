"""What a question to the running module says; the same on the investigator's side and on the endpoint."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from mig_core.plugin.parameters import Kind, Parameter, Parameters, Values
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

DEFAULT_LIMIT = 1000
MAX_LIMIT = 100_000
LONGEST = 3600
EVER = 10**11
"""Seconds; longer than there are times."""
_DURATION = re.compile(r"(\d{1,12})(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
CHANGES = ("new", "changed", "moved", "removed", "mode", "owner", "attributes", "times", "passing")


def seconds_of(text: str) -> int:
    """A duration's seconds: ``90m``.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError('must be a duration like "24h" or "90m"')
    return min(EVER, int(found[1]) * _SECONDS[found[2]])


def _absolute(text: str) -> None:
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")


PARAMETERS = Parameters(
    Parameter(
        name="baseline-differs",
        key="baselineDiffers",
        kind=Kind.BOOLEAN,
        help="compare everything with the baseline now, instead of showing the changes that were told",
    ),
    Parameter(
        name="rehash",
        key="rehash",
        kind=Kind.BOOLEAN,
        help="with baseline-differs: read every file again, also where its status is what it was",
    ),
    Parameter(name="below", key="below", help="only this path and what lies below", check=_absolute, metavar="PATH"),
    Parameter(name="change", key="change", many=True, choices=CHANGES, help="only these kinds of change"),
    Parameter(
        name="since", key="since", metavar="DURATION", check=seconds_of, help="only changes of the last 24h, 90m, 7d …"
    ),
    Parameter(
        name="limit", key="limit", kind=Kind.INTEGER, default=DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT,
        help="most rows of an endpoint's answer",
    ),
    Parameter(
        name="seconds", key="seconds", kind=Kind.INTEGER, default=LONGEST, minimum=0, maximum=LONGEST, cli=False,
        help="how long the endpoint may take; set by the run itself",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question."""

    differs: bool
    again: bool
    below: str
    kinds: frozenset[str]
    since: int
    """Seconds; 0: ever."""
    limit: int
    seconds: int

    def to_json(self, seconds: int) -> dict[str, JSON]:
        """As the running module is asked; ``seconds``: how long it may take at most."""
        asked: dict[str, JSON] = {
            "baselineDiffers": self.differs, "rehash": self.again, "change": [*sorted(self.kinds)], "limit": self.limit,
            "seconds": max(0, min(self.seconds, seconds)),
        }  # fmt: skip
        if self.below:
            asked["below"] = self.below
        if self.since:
            asked["since"] = f"{self.since}s"
        return asked

    def wants(self, row: Mapping[str, JSON], now: float) -> bool:
        """Whether a row is asked for; ``now`` in seconds since 1970."""
        if self.kinds and row.get("change") not in self.kinds:
            return False
        if self.below and not any(self._is_below(str(row.get(name, ""))) for name in ("path", "moved_from")):
            return False
        if not self.since:
            return True
        return seconds_at(row, now) >= now - self.since

    def _is_below(self, path: str) -> bool:
        return path == self.below or path.startswith(self.below.rstrip("/") + "/")


def seconds_at(row: Mapping[str, JSON], otherwise: float) -> float:
    """When a row's change happened, in seconds since 1970; ``otherwise`` where it does not tell."""
    try:
        return datetime.fromisoformat(str(row.get("time"))).timestamp()
    except ValueError:
        return otherwise


def read(raw: object, *, strict: bool = True) -> Question:
    """The question of some parameters.

    Raises:
        ParameterError: names the JSON path.
    """
    return of(PARAMETERS.parse({} if raw is None else raw, strict=strict))


def of(values: Values) -> Question:
    """The question of parsed parameters."""
    return Question(
        differs=values.boolean("baseline-differs"),
        again=values.boolean("rehash"),
        below=values.text("below"),
        kinds=frozenset(values.texts("change")),
        since=seconds_of(values.text("since")) if values.text("since") else 0,
        limit=values.integer("limit"),
        seconds=values.integer("seconds"),
    )
