"""Splunk's HTTP Event Collector: its envelope, and what its answer codes say about a batch.

Codes are those of Splunk's manual ("Troubleshoot HTTP Event Collector"). The collector stops at the first event it
does not take and names its place, counted from 0 or from 1, depending on the code and the version. So the place is a
hint where to look, never a proof that the events before it are there; those may come a second time, under the same
``mig_id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.document import dump, load
from mig_core.domain.times import parse_time
from mig_core.errors import InvalidDocument
from mig_core.plugin.printing import excerpt
from mig_dispatch.record import shortened
from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.posting import TOO_LARGE, Posted, Poster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.document import JSON
    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.sinks.posting import Answer
    from mig_dispatch.targets import SplunkTarget

_SUCCESS = 0
_ENTITY_TOO_LARGE = 27
_ABOUT_AN_EVENT = frozenset({5, 6, 12, 13, 15, _ENTITY_TOO_LARGE})
"""No data, invalid data format, event field required, event field blank, error in indexed fields, entity too large.
All others are about the token, the index, the channel or the moment: tried again."""
_MAX_TEXT = 1 << 16


class SplunkSink:
    """Posts a batch of envelopes."""

    def __init__(self, target: SplunkTarget, timeout: float, maker: RecordMaker, spool_id: str) -> None:
        self._poster = Poster(target.web, timeout)
        self._target = target
        self._maker = maker
        self._spool_id = spool_id
        self._headers = {"X-Splunk-Request-Channel": _channel(spool_id)}

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Posts them; the event a batch was refused for is looked for where the answer points, else by halving."""
        alerts = list(alerts)
        refused: dict[int, str] = {}
        settled, size = 0, len(alerts)
        while settled < len(alerts):
            group = alerts[settled : settled + size]
            answer = self._poster.ask(
                b"\n".join(self.envelope(alert) for alert in group), "application/json", self._headers
            )
            posted, place = _judged(answer)
            if posted.trouble:
                return Verdict(settled, refused, posted.trouble, posted.retry_after)
            if posted.refusal and len(group) > 1:
                size = max(1, place - 1) if 0 <= place < len(group) else len(group) // 2
                continue
            if posted.too_large and (shorter := shortened(group[0])) is not None:
                alerts[settled] = shorter
                continue
            if posted.refusal:
                refused[settled] = posted.refusal
            settled += len(group)
            size = len(alerts) - settled
        return Verdict(settled, refused)

    def envelope(self, alert: Alert) -> bytes:
        """The event with its time, host, source, sourcetype, and what of it is indexed as fields."""
        around: dict[str, JSON] = {
            "time": _seconds(alert.received),
            "host": self._maker.hostname,
            "source": self._target.source or f"mig:{alert.module or 'unknown'}",
            "sourcetype": self._target.sourcetype,
        }
        if self._target.index:
            around["index"] = self._target.index
        around["fields"] = {"mig_id": alert.identity(self._spool_id), "mig_module": alert.module or "unknown"}
        return dump(around)[:-1] + b',"event":' + self._maker.record(alert) + b"}"

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._poster.deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._poster.deadline.interrupt()

    def close(self) -> None:
        """Closes the connection."""
        self._poster.close()


def _judged(answer: Answer) -> tuple[Posted, int]:
    """What came of a request, and the place of the event it was refused for; -1: not told."""
    if answer.trouble:
        return Posted(answer.trouble), -1
    code, text, place = _code(answer.content)
    said = excerpt(f"{text or 'HTTP'} (code {code}, HTTP {answer.status})") if code is not None else answer.said
    if code == _SUCCESS and answer.status == 200:
        return Posted(), -1
    if code in _ABOUT_AN_EVENT or answer.status == TOO_LARGE:
        return Posted(refusal=said, too_large=answer.status == TOO_LARGE or code == _ENTITY_TOO_LARGE), place
    return Posted(said, retry_after=answer.retry_after), -1


def _code(content: str) -> tuple[int | None, str, int]:
    """Code, text and place in ``{"text": …, "code": 6, "invalid-event-number": 3}``; None when it is no such answer."""
    try:
        value = load(content.encode(), subject="answer", max_bytes=_MAX_TEXT + 1)
    except InvalidDocument:
        return None, "", -1
    if not isinstance(value, dict):
        return None, "", -1
    code, place = value.get("code"), value.get("invalid-event-number")
    return (
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        str(value.get("text", "")),
        place if isinstance(place, int) and not isinstance(place, bool) else -1,
    )


def _seconds(received: str) -> float:
    """Seconds since 1970; of an alert that does not tell, 0."""
    try:
        return round(parse_time(received).timestamp(), 6)
    except ValueError:
        return 0.0


def _channel(spool_id: str) -> str:
    """The spool's id as the collector wants a channel: a UUID."""
    text = (spool_id + "0" * 32)[:32]
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
