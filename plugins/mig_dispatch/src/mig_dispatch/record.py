"""What is kept of an alert, and the record a sink gets: ``{"hostname", "environment", "tags", "event"}``.

In the spool an alert is one line of our own facts, then the event's JSON, byte for byte as the module sent it. It is
checked once, on its way in; sinks put it into their records without decoding it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_core.domain.document import dump, load
from mig_core.errors import InvalidDocument
from mig_core.plugin.cutting import LEAST_BYTES, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Incoming

MAX_EVENT_BYTES = 1 << 20
_MAX_TEXT = 1 << 18
_MAX_MODULE = 64
_SHORT = 2048
"""Bytes of an event that no receiver finds too many."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert on its way out. ``received`` is RFC 3339 in UTC; ``event`` a JSON object without line breaks."""

    number: int
    received: str
    module: str
    event: bytes
    count: int = 0
    """Where a sink aggregates: of how many alike it is the first."""
    last: str = ""
    """When the last of them was received."""

    def identity(self, spool_id: str) -> str:
        """The same each time the alert is sent, and nobody else's; of more alerts alike it is another one."""
        return f"{spool_id}-{self.number}" + (f"-{self.count}" if self.count > 1 else "")

    def counted(self) -> bytes:
        """Members for the record of an aggregated alert, with a comma before them."""
        return b',"count":%d,"last":"%s"' % (self.count, self.last.encode("ascii", "replace")) if self.count else b""


def pack(incoming: Incoming, received: str) -> bytes:
    """What the spool keeps. An alert that is not a JSON object is wrapped: ``{"alert_text": …}``; if its text
    had to be cut, ``alert_bytes`` says how long it was."""
    facts = json.dumps({"at": received, "module": incoming.module[:_MAX_MODULE]}, separators=(",", ":"))
    return facts.encode("ascii") + b"\n" + _event(incoming.raw)


def unpack(number: int, payload: bytes) -> Alert:
    """The alert in a payload that :func:`pack` made; anything else is wrapped, too."""
    facts, _, event = payload.partition(b"\n")
    try:
        values = json.loads(facts)
        return Alert(number, str(values["at"]), str(values["module"]), event)
    except (ValueError, KeyError, TypeError):
        return Alert(number, "", "", dump(_wrapped(payload)))


def shortened(alert: Alert) -> Alert | None:
    """The alert with its event cut to half, longest members first, saying so; None: it is short, and not at fault."""
    size = len(alert.event)
    if size <= _SHORT:
        return None
    event: JSON = json.loads(alert.event)
    assert isinstance(event, dict)
    return replace(alert, event=fitted(event, size // 2))


def _event(raw: bytes) -> bytes:
    try:
        value = load(raw, subject="alert", max_bytes=MAX_EVENT_BYTES)
    except InvalidDocument:
        return dump(_wrapped(raw))
    if not isinstance(value, dict):
        return dump(_wrapped(raw))
    return dump(value) if b"\n" in raw or b"\r" in raw else raw


def _wrapped(raw: bytes) -> dict[str, JSON]:
    text = raw[: 4 * _MAX_TEXT].decode("utf-8", "replace")
    wrapped: dict[str, JSON] = {"alert_text": text[:_MAX_TEXT]}
    if len(raw) > 4 * _MAX_TEXT or len(text) > _MAX_TEXT:
        wrapped["alert_bytes"] = len(raw)
    return wrapped


class RecordMaker:
    """Makes the record of an alert, for one endpoint."""

    def __init__(self, hostname: str, environment: Mapping[str, JSON], tags: Mapping[str, str]) -> None:
        self.hostname = hostname
        self.environment = environment
        self.tags = tags
        self._head = (
            dump({"hostname": hostname, "environment": dict(environment), "tags": dict(tags)})[:-1] + b',"event":'
        )

    def fitted(self, alert: Alert, limit: int) -> bytes:
        """The record in at most ``limit`` bytes, for a receiver that takes no more: a longer event is cut, and says so.

        Args:
            limit: 500 at least.
        """
        whole = self.record(alert)
        if len(whole) <= limit:
            return whole
        counted = alert.counted()
        limit -= len(counted)
        head = self._head
        if limit - len(head) - 1 < LEAST_BYTES:  # environment and tags leave no room for what happened
            head = dump({"hostname": self.hostname})[:-1] + b',"event":'
        event: JSON = json.loads(alert.event)
        assert isinstance(event, dict)
        return head + fitted(event, max(limit - len(head) - 1, LEAST_BYTES)) + counted + b"}"

    def record(self, alert: Alert) -> bytes:
        """The record: one line of JSON, without its newline."""
        return b"".join((self._head, alert.event, alert.counted(), b"}"))
