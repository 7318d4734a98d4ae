"""Ten thousand agents: what must not grow slow, with room for slow machines."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Outgoing
from mig_core.store.rows import FannedOut
from mig_core.testing.store_samples import LEASE, NOW, action, answer, later, module_result, scheduled
from mig_core.testing.store_scale import fill_with_agents

if TYPE_CHECKING:
    from mig_core.store.postgres import PostgresStore
    from mig_core.store.rows import CommandRow

COUNT = 10_000


@pytest.mark.slow
def test_an_action_for_ten_thousand_agents_is_fanned_out_answered_and_counted_in_seconds(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    fill_with_agents(store_url, COUNT)
    asked = action(target="name LIKE 'agent%' AND tags.operator = 'it'")
    times: dict[str, float] = {}

    async def scenario() -> None:
        await scheduled(store, asked)
        began = time.perf_counter()
        assert await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW) == FannedOut(COUNT)
        times["fan out"] = time.perf_counter() - began

        began = time.perf_counter()
        claimed = []
        while batch := await store.commands.claim_unsent(["https"], limit=1000, lease=LEASE, now=NOW):
            await store.relay_queue.put_commands([Outgoing(one.agent, b"x" * 2000, later(60)) for one in batch])
            await store.commands.mark_sent([one.id for one in batch], NOW)
            claimed += [one.agent for one in batch]
        times["hand over"] = time.perf_counter() - began
        assert len(set(claimed)) == COUNT

        commands: list[CommandRow] = []
        cursor = ""
        while True:
            page, cursor = await store.commands.list(asked.id, cursor=cursor, limit=1000)
            commands += page
            if not cursor:
                break
        began = time.perf_counter()
        for start in range(0, COUNT, 200):
            await store.commands.record(
                [answer(one, results=[module_result()]) for one in commands[start : start + 200]], NOW
            )
        times["record"] = time.perf_counter() - began

        began = time.perf_counter()
        for _ in range(20):
            row = await store.actions.get(asked.id)
        times["count 20 times"] = time.perf_counter() - began
        assert row.found == COUNT
        assert await store.actions.settle(NOW) == [asked.id]

    store_runner.run(scenario())

    # On a quiet machine a tenth; what grows with the square of the number takes far longer than this on any.
    assert times["fan out"] < 20, times
    assert times["hand over"] < 100, times
    assert times["record"] < 150, times
    assert times["count 20 times"] < 20, times


def test_polls_of_many_agents_at_once_each_get_their_own_messages(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    agents = fill_with_agents(store_url, 500)

    async def scenario() -> None:
        await store.relay_queue.put_commands([Outgoing(one, one.encode(), later(60)) for one in agents])
        claims = await asyncio.gather(
            *(store.relay_queue.claim(one, "s", limit=5, lease=30, now=NOW) for one in agents)
        )
        await asyncio.gather(
            *(
                store.relay_queue.acknowledge(agent, [message.id for message in claim])
                for agent, claim in zip(agents, claims, strict=True)
            )
        )

        assert [[message.body for message in claim] for claim in claims] == [[one.encode()] for one in agents]
        left = await asyncio.gather(
            *(store.relay_queue.claim(one, "other", limit=5, lease=30, now=NOW) for one in agents)
        )
        assert left == [[]] * 500

    store_runner.run(scenario())
