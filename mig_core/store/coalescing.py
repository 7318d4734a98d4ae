"""Many small calls at the same moment become one transaction: what arrives while one is under way goes into the next.

A thousand agents that poll or answer at once would otherwise cost a thousand commits and a thousand notifications.
Nobody waits for company: a call that comes alone goes at once. Each caller still returns only after its own commit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class Coalescing(Generic[T, R]):
    """Hands values to ``call`` in groups, one group at a time. For one event loop.

    Args:
        call: takes a group and returns one result for each, in order; what it raises, every member of the group raises.
        limit: most values in a group.
    """

    def __init__(self, call: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, limit: int) -> None:
        self._call = call
        self._limit = limit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, value: T) -> R:
        """The value's own result. If the caller is cancelled meanwhile it may be worked on all the same."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((value, done))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="mig-store-coalescing")
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._work_on(group)
        finally:
            self._task = None
            waiting, self._waiting = self._waiting, []
            for _, done in waiting:
                done.cancel()

    async def _work_on(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._call([value for value, _ in group])
            for (_, done), result in zip(group, results, strict=True):
                if not done.done():
                    done.set_result(result)
        except Exception as error:
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        finally:
            for _, done in group:
                done.cancel()  # does nothing, unless this task is being cancelled
