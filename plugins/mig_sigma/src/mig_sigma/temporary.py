"""Rules that signed actions have brought, kept until each action's window ends; on disk, to outlive a restart.

The time of this machine decides; a file that cannot be read is said and forgotten.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.document import load, members
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument
from mig_sigma.rule import MAX_BYTES, Rule, document, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

MOST = 32
"""Actions whose rules are in force at once."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The rules of one action."""

    action: str
    until: datetime
    rules: tuple[Rule, ...]


class Temporary:
    """Keeps them. Used under the lock of its owner.

    Args:
        state: the module's folder.
        now: the time.
    """

    def __init__(self, state: Path, now: Callable[[], datetime]) -> None:
        self._folder = state / "rules"
        self._now = now
        self._brought: dict[str, Brought] = {}
        self.problems: dict[str, str] = {}
        """File -> what is wrong with it."""
        self._load()

    def put(self, brought: Brought) -> None:
        """Keeps an action's rules.

        Raises:
            ValueError: there are too many, or its window has ended.
            OSError: they cannot be written.
        """
        if brought.until <= self._now():
            raise ValueError("the action's window has ended")
        if brought.action not in self._brought and len(self._brought) >= MOST:
            raise ValueError(f"the rules of {MOST} actions are in force already; mig sigma --forget ends one")
        body = {"action": brought.action, "until": format_time(brought.until), "rules": document(brought.rules)}
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(brought.action)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
        self._brought[brought.action] = brought

    def forget(self, action: str) -> bool:
        """Ends an action's rules before their time; False when there are none."""
        if self._brought.pop(action, None) is None:
            return False
        self._path(action).unlink(missing_ok=True)
        return True

    def expired(self) -> list[str]:
        """Ends those whose window is over; the actions that brought them."""
        over = [one.action for one in self._brought.values() if one.until <= self._now()]
        for action in over:
            self.forget(action)
        return over

    def all(self) -> list[Brought]:
        """What is in force, in the order of the actions' ids, which is that of time."""
        return [self._brought[action] for action in sorted(self._brought)]

    def _path(self, action: str) -> Path:
        return self._folder / f"{action}.json"

    def _load(self) -> None:
        for path in sorted(self._folder.glob("*.json")):
            try:
                fields = members(
                    load(path.read_bytes(), subject=path.name, max_bytes=2 * MAX_BYTES, max_depth=200),
                    subject=path.name,
                )
                action, until = fields.text("action", max_length=100), fields.time("until")
                rules = read(json.dumps(fields.take("rules")), subject=path.name)
            except (InvalidDocument, OSError) as error:
                self.problems[path.name] = str(error)
                continue
            if until <= self._now() or self._path(action) != path:
                path.unlink(missing_ok=True)
            else:
                self._brought[action] = Brought(action, until, tuple(rules))
