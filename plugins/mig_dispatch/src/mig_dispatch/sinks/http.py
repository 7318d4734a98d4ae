"""HTTP: one record a request, as the original did, or a batch of lines; and the form MozDef reads."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mig_dispatch.record import shortened
from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.posting import Posted, Poster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.targets import WebTarget

IDENTITY_HEADER = "Idempotency-Key"
"""Names the alerts of a request, so that receivers can tell repetitions: the same for one alert each time it is sent.
Lines may come in other groups the next time, under their own first and last numbers."""


class HttpSink:
    """One record a request, or lines.

    Args:
        spool_id: makes the identity of alerts unique among endpoints.
    """

    def __init__(self, target: WebTarget, timeout: float, maker: RecordMaker, spool_id: str) -> None:
        self._poster = Poster(target, timeout)
        self._lines = target.lines
        self._maker = maker
        self._spool_id = spool_id

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Posts them; what a request with several lines was refused for is found by halving it.

        An event that is too large for the receiver is cut until it is not: who chooses its length must not hide it.
        """
        alerts = list(alerts)
        refused: dict[int, str] = {}
        settled = 0
        size = len(alerts) if self._lines else 1
        while settled < len(alerts):
            group = alerts[settled : settled + size]
            posted = self._post(group)
            if posted.trouble:
                return Verdict(settled, refused, posted.trouble, posted.retry_after)
            if posted.refusal and len(group) > 1:
                size = len(group) // 2
                continue
            if posted.too_large and (shorter := shortened(group[0])) is not None:
                alerts[settled] = shorter
                continue
            if posted.refusal:
                refused[settled] = posted.refusal
            settled += len(group)
        return Verdict(settled, refused)

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._poster.deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._poster.deadline.interrupt()

    def close(self) -> None:
        """Closes the connection."""
        self._poster.close()

    def body(self, alert: Alert) -> bytes:
        """What is posted for one alert."""
        return self._maker.record(alert)

    def _post(self, group: Sequence[Alert]) -> Posted:
        if not self._lines:
            headers = {IDENTITY_HEADER: group[0].identity(self._spool_id)}
            return self._poster.post(self.body(group[0]), "application/json", headers)
        body = b"".join(self.body(one) + b"\n" for one in group)
        identity = f"{self._spool_id}-{group[0].number}-{group[-1].number}"
        return self._poster.post(body, "application/x-ndjson", {IDENTITY_HEADER: identity})


class MozDefSink(HttpSink):
    """MozDef's form: the record is its ``details``."""

    def body(self, alert: Alert) -> bytes:
        """MozDef's event for one alert."""
        around = {
            "timestamp": alert.received,
            "category": "mig",
            "hostname": self._maker.hostname,
            "processid": os.getpid(),
            "processname": "mig-agent",
            "severity": "INFO",
            "source": alert.module,
            "summary": "mig dispatch event",
            "tags": ["mig-dispatch"],
        }
        return json.dumps(around, separators=(",", ":"))[:-1].encode("ascii") + (
            b',"details":' + self._maker.record(alert) + b"}"
        )
