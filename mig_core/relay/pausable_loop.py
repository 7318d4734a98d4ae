"""An event loop that can stop watching sockets for a while, for libraries that read all that comes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class PausableLoop:
    """An event loop as one connection sees it. Everything but reading is the loop's own.

    Args:
        loop: the real one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: dict[int, tuple[Callable[..., object], tuple[object, ...]]] = {}
        self._paused = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, descriptor: int, callback: Callable[..., object], *arguments: object) -> None:
        """As the loop's, but not while paused."""
        self._readers[descriptor] = (callback, arguments)
        if not self._paused:
            self._loop.add_reader(descriptor, callback, *arguments)

    def remove_reader(self, descriptor: int) -> bool:
        """As the loop's."""
        self._readers.pop(descriptor, None)
        return self._loop.remove_reader(descriptor)

    def pause(self) -> None:
        """Watches nothing."""
        self._paused = True
        for descriptor in self._readers:
            self._loop.remove_reader(descriptor)

    def resume(self) -> None:
        """Watches again."""
        if self._paused:
            self._paused = False
            for descriptor, (callback, arguments) in self._readers.items():
                self._loop.add_reader(descriptor, callback, *arguments)
