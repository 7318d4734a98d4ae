"""A program's log on standard error: one line an event, whatever the names in it hold."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError
from mig_core.text import printable

if TYPE_CHECKING:
    from types import TracebackType

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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


def start_logging(role: str, level: str) -> None:
    """From now on everything that is logged goes to standard error, in lines.

    Raises:
        ConfigurationError: there is no such level.
    """
    if level not in logging.getLevelNamesMapping():
        raise ConfigurationError(role, "log_level", f"is none: {level!r:.40}", next_step="INFO is usual")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    logging.basicConfig(level=level, handlers=[handler])
