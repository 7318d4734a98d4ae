"""Many small calls at the same moment become one transaction: what arrives while one is under way goes into the next.

A thousand agents that poll or answer at once would otherwise cost a thousand commits and a thousand notifications.
Nobody waits for company: a call that comes alone goes at once. Each caller still returns only after its own commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from mig_core.errors import StatementRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


class Coalescing(Generic[T, R]):
    """Hands values to ``call`` in groups, one group at a time. For one event loop.

    Args:
        call: takes a group and returns one result for each, in order; what it raises, every member of the group raises.
            StatementRefused it may raise only when nothing has happened: it is called again with halves of the group.
        limit: most values in a group.
        weigh: what a value weighs, and ``most``: the weight with which a group is full (one value always is a group).
    """

    def __init__(
        self,
        call: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        limit: int,
        weigh: Callable[[T], int] = lambda _: 0,
        most: int = 1,
    ) -> None:
        self._call = call
        self._limit = limit
        self._weigh = weigh
        self._most = most
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
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
                await self._work_on(self._group())
        finally:
            self._task = None
            waiting, self._waiting = self._waiting, deque()
            for _, done in waiting:
                done.cancel()

    def _group(self) -> list[tuple[T, asyncio.Future[R]]]:
        group = [self._waiting.popleft()]
        weight = self._weigh(group[0][0])
        while self._waiting and len(group) < self._limit:
            weight += self._weigh(self._waiting[0][0])
            if weight > self._most:
                break
            group.append(self._waiting.popleft())
        return group

    async def _work_on(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._call([value for value, _ in group])
            for (_, done), result in zip(group, results, strict=True):
                if not done.done():
                    done.set_result(result)
        except StatementRefused as error:
            if len(group) > 1:
                # One of them is to blame, and the others are not to suffer for it.
                await self._work_on(group[: len(group) // 2])
                await self._work_on(group[len(group) // 2 :])
            elif not group[0][1].done():
                group[0][1].set_exception(error)
        except Exception as error:
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        finally:
            for _, done in group:
                done.cancel()  # does nothing, unless this task is being cancelled
