"""Conditions on columns: what ``--port 22``, ``--exe '!^/usr/'`` and ``--started '<1h'`` mean.

A :class:`ColumnFilter` is all that was asked about one column. A row fits it when any of the plain values fits and none
of the inverted ones (``!`` in front) does. The answer has three values, because a cell may be not known.

By kind:

* ``text``, ``path``, ``list``: a regular expression found somewhere in the text, or in one of the list's. It is the
  language of targets (``docs/targets.md``), whose time grows with the text only, whatever the expression.
* ``integer``, ``size``, ``duration``: ``22``, ``<1024``, ``>=10m``, ``90s..2h`` (both ends belong to it). Sizes take k,
  m, g and t (powers of 1024), durations ms, s, m, h and d.
* ``time``: ``<1h`` is within the last hour, ``>7d`` before the last seven days; ``>2026-11-01`` and
  ``<2026-11-01T12:00:00Z`` compare moments; ``2026-11-01`` is that day and ``2026-11-01..2026-11-03`` three (UTC).
* ``address``: an address or a network, ``10.0.0.0/8``; of a cell the part before a slash counts. An IPv4 address and
  the same mapped into IPv6 are one.
* ``hash``: the whole of it, hexadecimal in any case.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mig_core.domain.times import parse_duration, parse_time
from mig_core.errors import TargetError
from mig_core.plugin.cells import folded, seconds_of
from mig_core.plugin.columns import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.domain.document import JSON
    from mig_core.plugin.columns import Column

    Test = Callable[[Any], bool]
    """Whether a cell's key fits."""

_NUMERIC = frozenset({ColumnKind.INTEGER, ColumnKind.SIZE, ColumnKind.DURATION})
_PATTERNS = frozenset({ColumnKind.TEXT, ColumnKind.PATH, ColumnKind.LIST})
_COMPARISON = re.compile(r"(<=|>=|<|>)\s*(.+)")
_INTEGER = re.compile(r"-?[0-9]{1,30}")
_SIZE = re.compile(r"([0-9]{1,20})([kmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DAY_SECONDS = 86_400

METAVARS = dict.fromkeys(_PATTERNS, "REGEX") | {
    ColumnKind.INTEGER: "NUMBER",
    ColumnKind.SIZE: "SIZE",
    ColumnKind.TIME: "TIME",
    ColumnKind.DURATION: "DURATION",
    ColumnKind.ADDRESS: "CIDR",
    ColumnKind.HASH: "HASH",
}
EXPLAINED = dict.fromkeys(_PATTERNS, "regular expression") | {
    ColumnKind.INTEGER: "22, <1024 or 80..90",
    ColumnKind.SIZE: "42, <100k or 1m..2g",
    ColumnKind.TIME: "<1h is in the last hour, >7d before that; or a day or moment",
    ColumnKind.DURATION: "<1h, >5m or 1m..5m",
    ColumnKind.ADDRESS: "address or network like 10.0.0.0/8",
    ColumnKind.HASH: "the whole hash",
}
"""How a filter's values are written, for help. Booleans are flags."""


class ColumnFilter:
    """What was asked about one column.

    Args:
        column: which.
        values: at least one, as :func:`check_condition` accepts them.
        now: seconds since 1970 that ages are counted from.
    """

    def __init__(self, column: Column, values: Iterable[str], *, now: float) -> None:
        self.column = column
        self._plain: list[Test] = []
        self._inverted: list[Test] = []
        self._exact: set[object] = set()
        self._not_exact: set[object] = set()
        for text in values:
            inverted, rest = inversion(text)
            exact, test = _condition(column.kind, rest, now)
            if test is None:
                (self._not_exact if inverted else self._exact).add(exact)
            else:
                (self._inverted if inverted else self._plain).append(test)

    @property
    def only(self) -> frozenset[Any] | None:
        """The values of which a row must have one, when single ones were asked for; else None."""
        return None if self._plain or not self._exact else frozenset(self._exact)

    def holds(self, cell: JSON, *, present: bool = True) -> bool | None:
        """Whether a row with this cell fits; None when the cell is not known.

        Args:
            cell: as it stands in a row.
            present: False when the row has no value in this column: then no plain condition fits.
        """
        if present and cell is None:
            return None
        if not present:
            keys: list[Any] = []
        elif self.column.kind is ColumnKind.LIST:
            keys = list(cell) if isinstance(cell, list) else []
        else:
            key = _key(self.column.kind, cell)
            keys = [] if key is None else [key]
        if (self._plain or self._exact) and not _any(keys, self._exact, self._plain):
            return False
        return not _any(keys, self._not_exact, self._inverted)


class FlagFilter:
    """What was asked about a boolean column; a row without a value counts as false."""

    only = None

    def __init__(self, column: Column, *, wanted: bool) -> None:
        self.column = column
        self._wanted = wanted

    def holds(self, cell: JSON, *, present: bool = True) -> bool | None:
        """Whether a row with this cell fits; None when the cell is not known."""
        if present and cell is None:
            return None
        return bool(cell) is self._wanted


def check_condition(kind: ColumnKind, text: str) -> None:
    """Checks a filter's value.

    Raises:
        ValueError: with what is wrong, and how it should look.
    """
    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError
    _condition(kind, inversion(text)[1], 0.0)


def inversion(text: str) -> tuple[bool, str]:
    """Whether ``!`` stands in front, and the rest. A lone ``!`` is a text like any other."""
    return (True, text[1:]) if len(text) > 1 and text.startswith("!") else (False, text)


def _any(keys: list[Any], exact: set[object], tests: list[Test]) -> bool:
    return any(key in exact for key in keys) or any(test(key) for key in keys for test in tests)


def _key(kind: ColumnKind, cell: JSON) -> Any:
    """What of a cell is compared; None when it is not of its kind."""
    if kind in _NUMERIC:
        return cell if isinstance(cell, int | float) else None
    if not isinstance(cell, str):
        return None
    if kind is ColumnKind.TIME:
        return seconds_of(cell)
    if kind is ColumnKind.ADDRESS:
        return _address(cell)
    return folded(cell) if kind is ColumnKind.HASH else cell


def _condition(kind: ColumnKind, text: str, now: float) -> tuple[object, Test | None]:
    """The one key that fits, or a test of keys."""
    if not text:
        raise ValueError("is empty")
    if kind in _PATTERNS:
        return None, _pattern(text)
    if kind is ColumnKind.ADDRESS:
        return None, _network(text)
    if kind is ColumnKind.HASH:
        return folded(text), None
    if kind is ColumnKind.TIME:
        return None, _moment(text, now)
    low, dots, high = text.partition("..")
    if dots:
        least, most = _number(kind, low), _number(kind, high)
        if least > most:
            raise ValueError(f"{text!r:.60} is a range whose end lies before its beginning")
        return None, lambda key: least <= key <= most
    compared = _COMPARISON.fullmatch(text)
    if compared is None:
        return _number(kind, text), None
    return None, _compare(compared[1], _number(kind, compared[2]))


def _compare(operator: str, limit: float) -> Test:
    tests: dict[str, Test] = {
        "<": lambda key: key < limit,
        "<=": lambda key: key <= limit,
        ">": lambda key: key > limit,
        ">=": lambda key: key >= limit,
    }
    return tests[operator]


def _number(kind: ColumnKind, text: str) -> float:
    if kind is ColumnKind.INTEGER:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{text!r:.60} is not a number like 22, <1024 or 80..90")
        return int(text)
    if kind is ColumnKind.SIZE:
        parts = _SIZE.fullmatch(text)
        if parts is None:
            raise ValueError(f"{text!r:.60} is not a size like 42, <100k or 1m..2g")
        return int(parts[1]) * _UNITS[parts[2].lower()]
    sign = -1 if text.startswith("-") else 1
    return sign * parse_duration(text.removeprefix("-")).total_seconds()


def _moment(text: str, now: float) -> Test:
    low, dots, high = text.partition("..")
    if dots or _DAY.fullmatch(text):
        begin, end = _day(low)[0], _day(high if dots else low)[1]
        if begin >= end:
            raise ValueError(f"{text!r:.60} is a range whose end lies before its beginning")
        return lambda key: begin <= key < end
    compared = _COMPARISON.fullmatch(text)
    if compared is None:
        raise ValueError(
            f"{text!r:.60} is not a time like '<1h' (in the last hour), '>7d', '>2026-11-01', '2026-11-01' "
            "or '2026-11-01..2026-11-03'"
        )
    if compared[2][:4].isdigit() and "-" in compared[2]:
        return _compare(compared[1], _day(compared[2])[0])
    earliest = now - parse_duration(compared[2]).total_seconds()
    return _compare({"<": ">", "<=": ">=", ">": "<", ">=": "<="}[compared[1]], earliest)


def _day(text: str) -> tuple[float, float]:
    """Where a day, or a moment, begins and ends."""
    whole = _DAY.fullmatch(text) is not None
    moment = parse_time(f"{text}T00:00:00Z" if whole else text)
    begin = moment.timestamp()
    return begin, begin + (_DAY_SECONDS if whole else timedelta(microseconds=1).total_seconds())


def _network(text: str) -> Test:
    try:
        network = ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        raise ValueError(f"{text!r:.60} is neither an address nor a network like 10.0.0.0/8 or fd00::/8") from None
    if network.version == 6 and network.prefixlen >= 96 and (mapped := network.network_address.ipv4_mapped):
        network = ipaddress.ip_network((mapped, network.prefixlen - 96))
    return lambda key: any(one in network for one in key)


def _address(text: str) -> tuple[Any, ...] | None:
    try:
        address = ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (address, mapped) if mapped is not None else (address,)


def _pattern(text: str) -> Test:
    # the language of targets is imported with the first expression: most modules' runs need none of it
    from mig_core.domain.target.automaton import Automaton
    from mig_core.domain.target.regex import parse_regex
    from mig_core.domain.target.regex_tree import plain_text

    try:
        tree = parse_regex(text)
    except TargetError as error:
        raise ValueError(
            f"{text!r:.200} is not a regular expression: {error.problem.removeprefix('in the regular expression: ')}"
            f" at position {error.position} ({error.next_step})"
        ) from None
    known = plain_text(tree)
    if known is None:
        return Automaton(tree).found_in
    literal, at_start, at_end = known
    if at_start and at_end:
        return lambda key: bool(key == literal)
    if at_start or at_end:
        return lambda key: bool(key.startswith(literal) if at_start else key.endswith(literal))
    return lambda key: literal in key
