"""Waiting for what a test asserts, and for nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(look: Callable[[], T | None], seconds: float = 60.0, *, pause: float = 0.02) -> T:
    """The first result of ``look`` that counts as true; fails after so many seconds.

    Args:
        pause: seconds between two looks; longer where a look costs much.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last look gave {seen!r:.200}"
        time.sleep(pause)
    return seen
