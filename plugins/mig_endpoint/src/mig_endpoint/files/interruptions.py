"""Why a read of a file may end early. Whoever reads catches both; neither leaves a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Reason

FILES_BETWEEN_LOOKS_AT_THE_CLOCK = 16
"""Whoever reads small files asks so seldom whether time is over; in a large one its reader asks."""


class Unreadable(Exception):
    """The content cannot be had to its end. ``reason`` is what to book; the text says more."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class DeadlinePassed(Exception):
    """The run's time is over."""
