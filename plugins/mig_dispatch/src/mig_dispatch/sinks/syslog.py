"""Syslog: RFC 5424 messages with octet counting, over TCP (RFC 6587) or TLS (RFC 5425).

The protocol has no acknowledgement; :mod:`mig_dispatch.sinks.stream` says what counts as delivered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.targets import SyslogTarget

_NOT_PRINTABLE = re.compile(r"[^!-~]")
_MAX_SEQUENCE = 2147483647


class SyslogSink:
    """A receiver at the end of one TCP or TLS connection."""

    def __init__(self, target: SyslogTarget, timeout: float, maker: RecordMaker) -> None:
        self._stream = Stream(target.stream, timeout)
        self._max_message_bytes = target.max_message_bytes
        self._maker = maker
        self._priority = target.facility * 8 + target.severity
        self._hostname = _field(maker.hostname, 255)
        self._app_name = _field(target.app_name, 48)

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Sends the batch as a whole; after trouble, all of it is sent again."""
        messages = [self.message(alert) for alert in alerts]
        trouble = self._stream.send(b"".join(b"%d %s" % (len(message), message) for message in messages))
        return Verdict(0, {}, trouble) if trouble else Verdict(len(alerts))

    def message(self, alert: Alert) -> bytes:
        """The message for one alert: its record, cut where it must be, under its time and its module's name."""
        sequence = (alert.number - 1) % _MAX_SEQUENCE + 1
        header = (
            f"<{self._priority}>1 {alert.received or '-'} {self._hostname} {self._app_name} - "
            f'{_field(alert.module, 32)} [meta sequenceId="{sequence}"] '
        )
        head = header.encode("ascii", "replace")
        return head + self._maker.fitted(alert, self._max_message_bytes - len(head))

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._stream.deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._stream.deadline.interrupt()

    def close(self) -> None:
        """Closes the connection; the next batch makes a new one."""
        self._stream.close()


def _field(text: str, longest: int) -> str:
    """A header field: printable ASCII without spaces; ``-`` when nothing is left."""
    return _NOT_PRINTABLE.sub("", text)[:longest] or "-"
