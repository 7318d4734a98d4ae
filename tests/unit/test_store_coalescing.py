"""Calls that come together are worked on together, and each gets what is its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import StoreUnavailable
from mig_core.store.coalescing import Coalescing

if TYPE_CHECKING:
    from collections.abc import Sequence


class Groups:
    """Remembers the groups it was called with; negative numbers are refused."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    async def __call__(self, values: Sequence[int]) -> Sequence[int]:
        self.seen.append(list(values))
        await asyncio.sleep(0)
        if min(values) < 0:
            raise StoreUnavailable("negative")
        return [2 * value for value in values]


def test_calls_at_the_same_moment_share_a_group_up_to_the_limit() -> None:
    groups = Groups()

    async def scenario() -> list[int]:
        coalescing = Coalescing(groups, limit=4)
        return await asyncio.gather(*(coalescing.add(number) for number in range(10)))

    assert asyncio.run(scenario()) == [2 * number for number in range(10)]
    assert groups.seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_error_reaches_its_own_group_only() -> None:
    async def scenario() -> list[int | BaseException]:
        coalescing = Coalescing(Groups(), limit=2)
        return await asyncio.gather(*(coalescing.add(number) for number in (1, -1, 2, 3)), return_exceptions=True)

    first, second, *rest = asyncio.run(scenario())

    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, StoreUnavailable)
    assert rest == [4, 6]


def test_a_caller_that_gave_up_does_not_disturb_the_others() -> None:
    async def scenario() -> int:
        coalescing = Coalescing(Groups(), limit=10)
        gone, stays = asyncio.create_task(coalescing.add(1)), asyncio.create_task(coalescing.add(2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(scenario()) == 4


def test_it_works_again_after_it_was_idle() -> None:
    async def scenario() -> list[int]:
        coalescing = Coalescing(Groups(), limit=10)
        return [await coalescing.add(1), await coalescing.add(2)]

    assert asyncio.run(scenario()) == [2, 4]
