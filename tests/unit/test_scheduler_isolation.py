"""What spoils work for many is found and left out; an outage is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.errors import RelayUnavailable, StatementRefused, StoreBroke, StoreError, StoreUnavailable
from mig_core.scheduler.isolation import isolate

if TYPE_CHECKING:
    from collections.abc import Sequence


class Books:
    """Takes numbers; all of a call or none."""

    def __init__(self, poison: Sequence[int] = (), *, error: Exception | None = None) -> None:
        self.poison = frozenset(poison)
        self.error = error or StatementRefused("too long", "54000")
        self.outages: list[Exception] = []
        self.taken: list[int] = []
        self.calls = 0

    async def take(self, numbers: Sequence[int]) -> None:
        self.calls += 1
        if self.outages:
            raise self.outages.pop()
        if self.poison & set(numbers):
            raise self.error
        self.taken += numbers


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@given(st.sets(st.integers(0, 199), max_size=6))
def test_everything_but_the_poison_is_taken_once_and_the_poison_is_named(poison: set[int]) -> None:
    books = Books(sorted(poison))

    refused = asyncio.run(isolate("taking", range(200), books.take, answers=yes))

    assert sorted(books.taken) == sorted(set(range(200)) - poison)
    assert {number for number, _ in refused} == poison
    assert all(isinstance(error, StatementRefused) for _, error in refused)


def test_one_poison_among_two_hundred_costs_few_calls() -> None:
    books = Books([77])

    asyncio.run(isolate("taking", range(200), books.take, answers=yes))

    assert books.calls <= 2 * 8 + 1


@pytest.mark.parametrize(
    "outage",
    [StoreUnavailable("away"), StoreBroke("ended"), RelayUnavailable("away"), StoreError("permission denied")],
    ids=lambda one: type(one).__name__,
)
def test_an_outage_blames_nothing_and_is_waited_for(outage: Exception) -> None:
    books = Books()
    books.outages = [outage] * 2

    refused = asyncio.run(isolate("taking", [1, 2], books.take, answers=no))

    assert refused == []
    assert books.taken == [1, 2]


def test_what_ends_the_connection_each_time_while_the_database_answers_others_is_to_blame() -> None:
    books = Books([3], error=StoreBroke("server closed the connection unexpectedly"))

    refused = asyncio.run(isolate("taking", range(4), books.take, answers=yes))

    assert [number for number, _ in refused] == [3]
    assert sorted(books.taken) == [0, 1, 2]


def test_a_fault_of_our_own_is_isolated_too() -> None:
    books = Books([1], error=KeyError("forgotten"))

    refused = asyncio.run(isolate("taking", range(3), books.take, answers=yes))

    assert [(number, type(error)) for number, error in refused] == [(1, KeyError)]
