"""Which alerts a sink is meant to get (``where``), and which of them are alike (``aggregate``)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.target import holds
from mig_core.domain.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.domain.target import Target
    from mig_dispatch.record import Alert

VOLATILE = frozenset({"time", "timestamp", "@timestamp", "serial", "pid", "ppid", "args"})
"""Members that differ each time the same thing happens, at whatever depth."""


class Choice:
    """A sink's ``where``. What cannot be read is wanted: nothing is left out by a mistake of ours."""

    def __init__(self, where: Target | None, now: Callable[[], datetime]) -> None:
        self._where = where
        self._now = now

    def wants(self, alert: Alert) -> bool:
        """Whether the sink is meant to get it."""
        if self._where is None:
            return True
        try:
            event = json.loads(alert.event)
        except ValueError:
            return True
        return holds(self._where, {"module": alert.module, "event": event}, now=self._now())


class Likeness:
    """Which alerts are alike: of one module, within one stretch of the clock, and equal in what is compared.

    Args:
        seconds: how long a stretch is; stretches begin where the clock's time is a multiple of it.
        members: paths in the event that are compared, like ``process.exe``; none: all but ``VOLATILE``.
    """

    def __init__(self, seconds: float, members: Sequence[str]) -> None:
        self.seconds = seconds
        self._paths = [tuple(one.split(".")) for one in members]

    def stretch(self, moment: datetime) -> int:
        """The number of the stretch a moment lies in."""
        return int(moment.timestamp() // self.seconds)

    def stretch_of(self, alert: Alert) -> int:
        """The number of the stretch an alert was received in; -1 when it does not tell when."""
        try:
            return self.stretch(parse_time(alert.received))
        except ValueError:
            return -1

    def key(self, alert: Alert) -> bytes:
        """The same for alerts that are alike within one stretch."""
        try:
            event: JSON = json.loads(alert.event)
        except ValueError:
            event = None
        compared: JSON = [_at(event, path) for path in self._paths] if self._paths else _steady(event)
        return hashlib.sha256(dump([alert.module, compared])).digest()


def _at(value: JSON, path: tuple[str, ...]) -> JSON:
    """What stands there, in a list, or an empty one: null is not nothing."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return []
        value = value[key]
    return [value]


def _steady(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {key: _steady(value[key]) for key in sorted(value) if key not in VOLATILE}
    return [_steady(one) for one in value] if isinstance(value, list) else value
