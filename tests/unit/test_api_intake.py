"""Budgets of what comes in: bytes for each party and for all, fair turns, and nothing lost of the sums."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from mig_core.api.intake import Intake, IntakeLimits
from mig_core.domain.messages import Backlog, Kind
from mig_core.errors import ApiError, StoreUnavailable

LIMITS = IntakeLimits(
    small=10,
    in_memory=100,
    in_memory_a_party=50,
    requests_a_party=3,
    patience=0.2,
    stored=1000,
    stored_an_agent=300,
    look_every=0.0,
)


class Stored:
    """What the database says."""

    def __init__(self) -> None:
        self.backlog = Backlog(0, {})
        self.away = False
        self.looks = 0

    async def __call__(self) -> Backlog:
        self.looks += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.backlog


async def held(intake: Intake, stack: contextlib.AsyncExitStack, *shares: tuple[str, int]) -> None:
    for party, size in shares:
        await stack.enter_async_context(intake.share(party, size))


def test_a_party_has_its_bytes_and_its_requests_and_others_have_theirs() -> None:
    async def scenario() -> None:
        intake = Intake(Stored(), LIMITS)
        async with contextlib.AsyncExitStack() as stack:
            await held(intake, stack, ("a", 30), ("a", 20))
            with pytest.raises(ApiError) as bytes_:
                await held(intake, stack, ("a", 11))
            await held(intake, stack, ("a", 5), ("b", 50))
            with pytest.raises(ApiError) as requests:
                await held(intake, stack, ("a", 1))

        assert (bytes_.value.status, requests.value.status) == (429, 429)
        assert intake.in_memory == 0
        async with intake.share("a", 50):
            assert intake.in_memory == 50

    asyncio.run(scenario())


def test_strangers_of_one_address_are_not_taken_for_one() -> None:
    async def scenario() -> None:
        intake = Intake(Stored(), LIMITS)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(50):
                await stack.enter_async_context(intake.share("192.0.2.1", 5, known=False))

    asyncio.run(scenario())


def test_a_large_body_waits_for_its_share_in_turn_and_small_ones_pass() -> None:
    async def scenario() -> None:
        intake = Intake(Stored(), replace(LIMITS, patience=60.0))  # nobody waits too long here
        order: list[str] = []

        async def send(party: str, size: int, seconds: float) -> None:
            async with intake.share(party, size):
                order.append(party)
                assert intake.in_memory <= LIMITS.in_memory
                await asyncio.sleep(seconds)

        async with asyncio.TaskGroup() as group:
            for party, size in (("a", 50), ("b", 50), ("c", 50), ("d", 50), ("small", 10)):
                group.create_task(send(party, size, 0.05))
                await asyncio.sleep(0)

        assert order == ["a", "b", "small", "c", "d"]
        assert intake.in_memory == 0

    asyncio.run(scenario())


def test_who_waits_too_long_is_told_and_takes_nothing_from_those_behind() -> None:
    async def scenario() -> None:
        intake = Intake(Stored(), LIMITS)
        async with contextlib.AsyncExitStack() as stack:
            await held(intake, stack, ("a", 50), ("b", 50))
            with pytest.raises(ApiError) as late:
                await held(intake, stack, ("c", 50))
        async with intake.share("d", 50):
            pass

        assert late.value.status == 503
        assert intake.in_memory == 0

    asyncio.run(scenario())


def test_who_goes_away_while_waiting_leaves_the_sums_right() -> None:
    async def scenario() -> None:
        intake = Intake(Stored(), LIMITS)

        async def wait(party: str) -> None:
            async with intake.share(party, 50):
                await asyncio.sleep(10)

        tasks = [asyncio.create_task(wait(party)) for party in "abcde"]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert intake.in_memory == 0
        async with intake.share("a", 50):
            assert intake.in_memory == 50

    asyncio.run(scenario())


def test_what_is_stored_is_bounded_for_each_agent_and_for_all() -> None:
    async def scenario() -> None:
        stored = Stored()
        intake = Intake(stored, LIMITS)
        for _ in range(3):
            intake.check_stored("a", Kind.RESULT, 100)
        with pytest.raises(ApiError) as mine:
            intake.check_stored("a", Kind.RESULT, 1)
        intake.check_stored("b", Kind.RESULT, 300)
        with pytest.raises(ApiError):
            intake.check_stored("c", Kind.HEARTBEAT, 1)  # heartbeats may fill half only
        intake.check_stored("c", Kind.RESULT, 300)
        with pytest.raises(ApiError) as all_:
            intake.check_stored("d", Kind.RESULT, 101)
        await asyncio.sleep(0.01)  # a look says that all of it is recorded
        intake.check_stored("a", Kind.RESULT, 300)

        assert (mine.value.status, all_.value.status) == (503, 503)
        assert stored.looks == 1

    asyncio.run(scenario())


def test_what_other_processes_stored_counts_too() -> None:
    async def scenario() -> None:
        stored = Stored()
        stored.backlog = Backlog(900, {"a": 299})
        intake = Intake(stored, LIMITS)
        intake.check_stored("a", Kind.RESULT, 10)
        await asyncio.sleep(0.01)

        with pytest.raises(ApiError):
            intake.check_stored("a", Kind.RESULT, 10)
        with pytest.raises(ApiError):
            intake.check_stored("b", Kind.HEARTBEAT, 10)
        intake.check_stored("b", Kind.RESULT, 10)

    asyncio.run(scenario())


def test_a_database_that_is_away_forgets_nothing_of_what_was_counted() -> None:
    async def scenario() -> None:
        stored = Stored()
        stored.away = True
        intake = Intake(stored, LIMITS)
        intake.check_stored("a", Kind.RESULT, 300)
        await asyncio.sleep(0.01)

        with pytest.raises(ApiError):
            intake.check_stored("a", Kind.RESULT, 1)

    asyncio.run(scenario())
