"""A program's log: one line an event on standard error, as text or as JSON, or entries of systemd's journal.

Fields are named where a message names them: of ``"action=%s command=%s begins"`` JSON and the journal have ``action``
and ``command`` by themselves.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import struct
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError
from mig_core.text import printable

if TYPE_CHECKING:
    from types import TracebackType

FORMATS = ("text", "json", "journal")
JOURNAL = "/run/systemd/journal/socket"
"""https://systemd.io/JOURNAL_NATIVE_PROTOCOL/"""
MOST_BYTES = 48 << 10
"""Of one value in the journal; a datagram takes about 200 KiB."""

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONVERSION = re.compile(r"(?:\b([a-z_]+)=)?%(%|[-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""syslog(3)'s."""


class OneLineFormatter(logging.Formatter):
    """Escapes line breaks and other control characters in messages, and indents tracebacks.

    So a line that begins with a time was written by us: no agent, investigator or file name can forge one.
    """

    def __init__(self) -> None:
        super().__init__(_FORM)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """The line, without a traceback."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802  logging's own name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """The traceback, indented; an exception's text may hold what a peer sent."""
        return "\n".join(f"    {printable(line)}" for line in super().formatException(ei).split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: whatever is in a message stays in its text.

    Args:
        part: of the platform.
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        event: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "part": self._part,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := named_fields(record):
            event["fields"] = fields
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=True)


class JournalHandler(logging.Handler):
    """Sends entries to systemd's journal, with priority and fields. What it does not take goes to standard error.

    Args:
        part: of the platform.
        place: of the journal's socket.

    Raises:
        OSError: there is no journal.
    """

    def __init__(self, part: str, place: str = JOURNAL) -> None:
        super().__init__()
        self._part = part
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(place)
        except OSError:
            self._socket.close()
            raise
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one entry."""
        try:
            message = printable(record.getMessage())
            if record.exc_info and self.formatter is not None:
                lines = self.formatter.formatException(record.exc_info).split("\n")
                message = "\n".join([message, *(f"    {printable(line)}" for line in lines)])
            entry = {
                "MESSAGE": message,
                "PRIORITY": str(next(number for level, number in _PRIORITIES if record.levelno >= level)),
                "SYSLOG_IDENTIFIER": f"mig-{self._part}",
                "LOGGER": record.name,
                **{f"MIG_{name.upper()}": str(value) for name, value in named_fields(record).items()},
            }
            self._socket.send(b"".join(_field(name, value) for name, value in entry.items()))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Lets the socket go."""
        self._socket.close()
        super().close()


def named_fields(record: logging.LogRecord) -> dict[str, object]:
    """What a message names: of ``command=%s`` the value. The names are those of our own source."""
    arguments = record.args
    if not isinstance(arguments, tuple) or not isinstance(record.msg, str):
        return {}
    fields: dict[str, object] = {}
    conversions = [match for match in _CONVERSION.finditer(record.msg) if match[2] != "%"]
    if len(conversions) != len(arguments):
        return {}
    for match, value in zip(conversions, arguments, strict=True):
        if match[1]:
            fields[match[1]] = value if isinstance(value, int | float | bool) or value is None else str(value)
    return fields


def start_logging(role: str, level: str, form: str = "text") -> None:
    """From now on everything that is logged goes to standard error, in lines, or to the journal.

    Args:
        role: the part of the platform.
        level: what is logged at least.
        form: one of :data:`FORMATS`.

    Raises:
        ConfigurationError: there is no such level or form, or no journal.
    """
    if level not in logging.getLevelNamesMapping():
        raise ConfigurationError(role, "log_level", f"is none: {level!r:.40}", next_step="INFO is usual")
    logging.basicConfig(level=level, handlers=[_handler(role, form)])


def _handler(role: str, form: str) -> logging.Handler:
    if form not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigurationError(role, "log_format", f"must be one of {known}, got {form!r:.40}")
    if form == "journal":
        try:
            return JournalHandler(role)
        except OSError as error:
            raise ConfigurationError(
                role, "log_format", f"there is no journal at {JOURNAL}: {error.strerror}", next_step='set it to "text"'
            ) from error
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(role) if form == "json" else OneLineFormatter())
    return handler


def _field(name: str, value: str) -> bytes:
    """A field as the journal takes it: of several lines with its length before it."""
    raw = value.encode("utf-8", "backslashreplace")[:MOST_BYTES]
    if b"\n" in raw:
        return name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
    return name.encode() + b"=" + raw + b"\n"
