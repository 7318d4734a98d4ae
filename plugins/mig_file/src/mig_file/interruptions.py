"""Why a read of a file may end early. Raised and caught inside the plugin; neither leaves it.

``decompression`` and ``reader`` raise them, ``reader`` and ``evaluation`` catch them.
"""

from __future__ import annotations


class Unreadable(Exception):
    """The content cannot be had to its end. ``reason`` is one of ``tally``'s."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class DeadlinePassed(Exception):
    """The run's time is over."""
