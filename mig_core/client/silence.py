"""How long the platform has said nothing to who waits for it: what a person is told who would otherwise just wait."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Silence:
    """Since when requests to one platform are without a word. Thread-safe.

    Args:
        monotonic: seconds that never run backwards.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._waiting = 0
        self._since: float | None = None
        """When something was first asked after the platform was last heard; None: nothing was."""

    @contextlib.contextmanager
    def broken_by_an_answer(self) -> Iterator[None]:
        """Around what waits for the platform. To leave it well is a word of the platform's; an error is none."""
        with self._lock:
            self._waiting += 1
            if self._since is None:
                self._since = self._monotonic()
        heard = False
        try:
            yield
            heard = True
        finally:
            with self._lock:
                self._waiting -= 1
                if heard:
                    self._since = self._monotonic() if self._waiting else None

    def seconds(self) -> float:
        """How long nothing was heard, though something was asked; 0 where nothing is waited for."""
        with self._lock:
            return 0.0 if self._since is None else self._monotonic() - self._since
