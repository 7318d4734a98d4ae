"""Keeping a bounded number of published messages unconfirmed: the broker is kept busy and memory is not."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from mig_core.relay.amqp_connection import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MESSAGES = 1000
_BYTES = 16 << 20
_TURN = 64
"""Messages after which the event loop gets its turn, so that they leave and others work."""


class Window:
    """What one call of ``publish`` has on its way.

    Args:
        patience: seconds without any confirm after which nothing more is expected.
    """

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._sent: set[int] = set()
        self._failed: dict[int, Outcome] = {}
        self._open: dict[int, int] = {}
        self._bytes = 0
        self._moved = asyncio.Event()
        self._given_up = False

    async def room(self, size: int) -> bool:
        """Waits until one more message of this size fits; False when nothing moves any more."""
        while self._open and (len(self._open) >= _MESSAGES or self._bytes + size > _BYTES):
            await self._movement()
        if len(self._sent) % _TURN == 0:
            await asyncio.sleep(0)
        return not self._given_up

    def expect(self, index: int, size: int) -> Callable[[Outcome], None]:
        """Counts a message in; what is returned takes what became of it."""
        self._sent.add(index)
        self._open[index] = size
        self._bytes += size
        return functools.partial(self._done, index)

    async def failures(self, indices: Iterable[int]) -> dict[int, Outcome]:
        """Waits for the rest; what became of those that were not taken. Never sent for lack of room: lost."""
        while self._open:
            await self._movement()
        if self._given_up:
            for index in indices:
                if index not in self._sent:
                    self._failed[index] = Outcome.LOST
        return self._failed

    def give_up(self) -> None:
        """Nothing more is expected: the broker takes no messages now."""
        self._given_up = True
        for index in tuple(self._open):
            self._done(index, Outcome.LOST)
        self._moved.set()

    async def _movement(self) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(self._patience):
                await self._moved.wait()
        except TimeoutError:
            self.give_up()

    def _done(self, index: int, outcome: Outcome) -> None:
        size = self._open.pop(index, None)
        if size is None:
            return
        self._bytes -= size
        if outcome is not Outcome.TAKEN:
            self._failed[index] = outcome
        self._moved.set()
