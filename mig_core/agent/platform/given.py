"""What the enrolment secret that admitted this agent gives it: tags beneath its own, and where to listen.

Kept as it was given first: whoever holds the platform later cannot give an enrolled agent other tags, and with them
make it take questions that are meant for others. What stands in the agent's own settings wins.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.durable import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Gift:
    """What was given."""

    tags: Mapping[str, str] = field(default_factory=dict)
    relay: str = ""
    """``amqps://…``; empty: nothing."""


class Given:
    """The gift as it is kept. Thread-safe.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._gift = _load(path)

    def gift(self) -> Gift:
        """What was given; nothing before the first enrolment."""
        with self._lock:
            return self._gift or Gift()

    def keep(self, gift: Gift) -> None:
        """Keeps what the first enrolment gave, also when that was nothing; a later one changes nothing.

        Raises:
            OSError: it cannot be kept.
        """
        with self._lock:
            if self._gift is None:
                document = {"tags": dict(gift.tags), "relay": gift.relay}
                replace_file(self._path, json.dumps(document).encode("ascii") + b"\n")
                self._gift = gift
            elif gift != self._gift:
                log.info("the platform gives other tags or another relay than at first: nothing changes here")


def _load(path: Path) -> Gift | None:
    try:
        saved = json.loads(path.read_bytes()[:MAX_BYTES])
        tags = {str(key): str(value) for key, value in saved["tags"].items()}
        return Gift(tags, str(saved["relay"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.error("%s cannot be read, what the platform gave is forgotten: %s", path, error)
        return Gift()
