"""GELF 1.1, Graylog's format: over HTTP, a message a request, or over TCP and TLS, each message ended by a NUL.

A message has the whole event as text in ``full_message``, and its single values once more as additional fields, whose
names begin with ``_`` and hold letters, digits, ``_``, ``.`` and ``-`` only; ``_id`` is not allowed. Values are texts
and numbers, nothing else. A field of more than 32,766 bytes cannot be indexed, and the receiver has answered "accepted"
long before it finds out: so fields are short, and what is long is in ``full_message`` alone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.times import parse_time
from mig_core.plugin.cutting import LEAST_BYTES, fitted
from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.http import HttpSink
from mig_dispatch.sinks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.targets import GelfTarget, StreamTarget, WebTarget

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 200
_LONGEST_FIELD = 4096
_MOST_FIELDS = 200
_LONGEST_SHORT = 250
_SUMMARIES = ("summary", "message", "alert_text", "title", "type", "event")
"""Members of an event that say in a word what it is, the best first."""
_LARGEST_NUMBER = 1 << 53


class GelfMaker:
    """Makes messages of at most ``limit`` bytes for one endpoint."""

    def __init__(self, maker: RecordMaker, spool_id: str, level: int, limit: int) -> None:
        self._maker = maker
        self._spool_id = spool_id
        self._level = level
        self._limit = limit
        self._own: dict[str, str | int | float] = {}
        for prefix, facts in (("_environment_", maker.environment), ("_tag_", maker.tags)):
            self._own.update(_fields(facts, prefix, _MOST_FIELDS // 2))

    def message(self, alert: Alert) -> bytes:
        """The message; where it would be too long, fields go first, then the event is cut, and says so."""
        event = json.loads(alert.event)
        assert isinstance(event, dict)
        message: dict[str, JSON] = {
            "version": "1.1",
            "host": self._maker.hostname or "unknown",
            "short_message": _summary(alert.module, event),
            "timestamp": _seconds(alert.received),
            "level": self._level,
            "_module": alert.module or "unknown",
            "_mig_id": alert.identity(self._spool_id),
        }
        if alert.count:
            message |= {"_count": alert.count, "_last": alert.last}
        bare = dict(message)
        message |= {key: value for key, value in self._own.items() if key not in message}
        for key, value in _fields(event, "_", _MOST_FIELDS):
            message.setdefault(key, value)
        message["full_message"] = alert.event.decode("utf-8", "replace")
        whole = dump(message)
        return whole if len(whole) <= self._limit else self._cut(bare, event)

    def _cut(self, bare: dict[str, JSON], event: Mapping[str, JSON]) -> bytes:
        room = self._limit - len(dump(bare)) - len(',"full_message":""')
        while True:
            text = fitted(event, max(room, LEAST_BYTES)).decode("utf-8", "replace")
            whole = dump({**bare, "full_message": text})
            if len(whole) <= self._limit or room <= LEAST_BYTES:
                return whole
            room = min(room - 1, room * self._limit // len(whole))  # quotes and backslashes took more room


class GelfHttpSink(HttpSink):
    """A POST for each message."""

    def __init__(self, target: WebTarget, timeout: float, maker: RecordMaker, spool_id: str, form: GelfMaker) -> None:
        super().__init__(target, timeout, maker, spool_id)
        self._form = form

    def body(self, alert: Alert) -> bytes:
        """The message."""
        return self._form.message(alert)


class GelfStreamSink:
    """Messages that end with a NUL, over one connection. GELF over TCP knows neither compression nor an answer."""

    def __init__(self, target: StreamTarget, timeout: float, form: GelfMaker) -> None:
        self._stream = Stream(target, timeout)
        self._form = form

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Sends the batch as a whole; after trouble, all of it is sent again."""
        trouble = self._stream.send(b"".join(self._form.message(alert) + b"\0" for alert in alerts))
        return Verdict(0, {}, trouble) if trouble else Verdict(len(alerts))

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._stream.deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._stream.deadline.interrupt()

    def close(self) -> None:
        """Closes the connection; the next batch makes a new one."""
        self._stream.close()


def make_gelf_sink(
    target: GelfTarget, timeout: float, maker: RecordMaker, spool_id: str
) -> GelfHttpSink | GelfStreamSink:
    """The sink for a target: by HTTP or by a connection."""
    form = GelfMaker(maker, spool_id, target.level, target.max_message_bytes)
    if target.web is not None:
        return GelfHttpSink(target.web, timeout, maker, spool_id, form)
    assert target.stream is not None
    return GelfStreamSink(target.stream, timeout, form)


def _fields(
    value: Mapping[str, JSON] | Mapping[str, str], prefix: str, most: int
) -> Iterator[tuple[str, str | int | float]]:
    """Single values as additional fields, at most so many: ``process.exe`` becomes ``_process_exe``."""
    left = [most]

    def walk(inner: Mapping[str, JSON] | Mapping[str, str], path: str) -> Iterator[tuple[str, str | int | float]]:
        for key, one in inner.items():
            name = path + _NOT_IN_A_NAME.sub("_", key)
            if isinstance(one, dict):
                yield from walk(one, name + "_")
                continue
            plain = _plain(one)
            if plain is None or name == "_id" or len(name) > _LONGEST_NAME or left[0] <= 0:
                continue
            left[0] -= 1
            yield name, plain

    return walk(value, prefix)


def _plain(value: JSON) -> str | int | float | None:
    """What GELF takes of a value; None: it is left to ``full_message``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value if abs(value) <= _LARGEST_NUMBER else str(value)
    if value is None or isinstance(value, dict):
        return None
    text = value if isinstance(value, str) else dump(value).decode("utf-8", "replace")
    return text if len(text.encode("utf-8", "replace")) <= _LONGEST_FIELD else None


def _summary(module: str, event: Mapping[str, JSON]) -> str:
    """A line that is never empty: the module, and what the event calls itself."""
    said = next((one for key in _SUMMARIES if isinstance(one := event.get(key), str) and one.strip()), "alert")
    return f"{module or 'mig'}: {said}"[:_LONGEST_SHORT]


def _seconds(received: str) -> float:
    try:
        return round(parse_time(received).timestamp(), 6)
    except ValueError:
        return 0.0
