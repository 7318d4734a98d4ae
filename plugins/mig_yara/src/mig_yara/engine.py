"""Scans bytes that are there as a whole, within limits; what matched, as values of our own.

YARA-X holds Python's lock while it scans: no deadline of this process is looked at meanwhile, so each scan gets a
limit. After one that ran out nothing that it had found can be had, and the same scanner goes on with the next data.
A scanner stands no thread but the one that made it, not even to be thrown away, and what refers to itself is thrown
away by whichever thread collects garbage: the engine alone has its scanners, and gives them up when it is closed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.naming import shown
from mig_yara import reasons
from mig_yara.differences import MOST_MATCHES
from mig_yara.rules import GLOBALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.plugin.coverage import Tally
    from mig_yara.rules import Rules

FAILURES = 3
"""After so many scans that ran out of their time each following one gets a second: the rules are at fault."""


class Found(NamedTuple):
    """What a pattern of a matching rule found."""

    pattern: str
    total: int
    places: list[tuple[int, int, bytes]]
    """Offset, length, and the first bytes if they were asked for; the first matches only."""


class Matched(NamedTuple):
    """A rule that matched."""

    rule: str
    namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, Any], ...]
    found: list[Found]


class Limits(NamedTuple):
    """How much of a match is told, and how long a scan may take."""

    places: int = 10
    """Of each pattern."""
    excerpt: int = 0
    """Bytes of each match."""
    seconds: int = 10


class Engine:
    """Scans. One for each run, which closes it."""

    def __init__(self, rules: Rules, limits: Limits, tally: Tally, remaining: Callable[[], float]) -> None:
        """``remaining``: seconds until the deadline."""
        self._rules = rules
        self._limits = limits
        self._tally = tally
        self._remaining = remaining
        self._failures = 0
        self._seconds: dict[int, int] = {}
        self._scanners: list[Any] = []
        self._whole = self.scanner(rules.compiled, MOST_MATCHES)

    def close(self) -> None:
        """Gives the scanners up; nothing is scanned any more. By the thread that scanned."""
        self._scanners.clear()

    def scanner(self, compiled: Any, most_matches: int) -> int:
        """Makes a scanner with our limits; gives its number."""
        import yara_x

        scanner = yara_x.Scanner(compiled)
        scanner.max_matches_per_pattern(most_matches)
        scanner.console_log(lambda _text: None)  # it would print
        self._scanners.append(scanner)
        return len(self._scanners) - 1

    def run(self, number: int, data: bytes, subject: object) -> Any:
        """The rules that match, as a scanner has them; None, and it is booked, if that could not be found out.

        Raises:
            DeadlinePassed: time ran out.
        """
        import yara_x

        left = self._remaining()
        if left <= 0:
            raise DeadlinePassed
        limit = self._limits.seconds if self._failures < FAILURES else 1
        seconds = max(1, min(limit, math.ceil(left)))
        if self._seconds.get(number) != seconds:
            self._scanners[number].set_timeout(seconds)
            self._seconds[number] = seconds
        try:
            return self._scanners[number].scan(data).matching_rules
        except yara_x.TimeoutError:
            if self._remaining() <= 0:
                raise DeadlinePassed from None
            self._failures += 1
            self._tally.failed(reasons.SLOW, subject, f"the rules took longer than {seconds} s")
        except yara_x.ScanError as error:
            self._tally.failed(reasons.BROKEN, subject, str(error))
        except BaseException as panic:  # pyo3's PanicException
            if type(panic).__name__ != "PanicException":
                raise
            self._tally.failed(reasons.BROKEN, subject, f"the engine broke off: {panic}")
        return None

    def name(self, values: Mapping[str, str]) -> None:
        """Sets the external variables of what is scanned next."""
        for name in self._rules.globals:
            self._scanners[self._whole].set_global(name, values.get(name, ""))

    def scan(self, data: bytes, subject: object) -> list[Matched]:
        """The rules that match.

        Raises:
            DeadlinePassed: time ran out.
        """
        matching = self.run(self._whole, data, subject)
        return [self._matched(one, data, subject) for one in matching] if matching else []

    def _matched(self, rule: Any, data: bytes, subject: object) -> Matched:
        found = []
        excerpt = self._limits.excerpt
        for pattern in rule.patterns:
            matches = pattern.matches
            if not matches:
                continue
            if len(matches) >= MOST_MATCHES:
                self._tally.skip(reasons.MANY, f"{rule.identifier} {pattern.identifier} {subject}")
            places = [
                (one.offset, one.length, data[one.offset : one.offset + min(excerpt, one.length)] if excerpt else b"")
                for one in matches[: self._limits.places]
            ]
            found.append(Found(pattern.identifier, len(matches), places))
        return Matched(rule.identifier, rule.namespace, rule.tags, rule.metadata, found)


def names_of(path: str) -> dict[str, str]:
    """The external variables for a path, as LOKI and THOR set them: the extension has its dot."""
    path = shown(path)
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    values = (name, path, name[dot:] if dot > 0 else "")
    return dict(zip(GLOBALS, values, strict=True))
