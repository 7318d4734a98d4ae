"""Contract of :class:`mig_core.store.base.Wakeups`: who is woken by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.messages import Kind, Outgoing
from mig_core.testing.store_samples import (
    NOW,
    SIGNER,
    action,
    answer,
    enrolled,
    enrolment,
    fanned_out,
    later,
    sample_agent_id,
    scheduled,
)

if TYPE_CHECKING:
    import asyncio

    from mig_core.store.base import Store

WITHIN = 5.0


class WakeupsContract:
    """What wakes those who wait."""

    def test_each_change_wakes_its_channel(self, store: Store, store_runner: asyncio.Runner) -> None:
        """From the new action to its end."""

        async def scenario() -> None:
            asked, wakeups = action(), store.wakeups
            async with wakeups.watch("agent") as watch:
                await enrolled(store, "web1")
                assert await watch.wait(WITHIN)
            async with wakeups.watch("action") as any_action, wakeups.watch("action", asked.id) as this_action:
                await scheduled(store, asked)
                assert await any_action.wait(WITHIN)
                assert await this_action.wait(WITHIN)
            async with wakeups.watch("outbox") as watch:
                await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW)
                assert await watch.wait(WITHIN)
            (command,), _ = await store.commands.list(asked.id)
            async with wakeups.watch("action", asked.id) as watch:
                await store.commands.mark_sent([command.id], NOW)
                assert await watch.wait(WITHIN)
                await store.commands.record([answer(command)], NOW)
                assert await watch.wait(WITHIN)
                await store.actions.settle(NOW)
                assert await watch.wait(WITHIN)

        store_runner.run(scenario())

    def test_whoever_hears_a_channel_is_told_the_keys(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Of that channel only."""

        async def scenario() -> None:
            web1, web2 = sample_agent_id("web1"), sample_agent_id("web2")
            heard: list[str] = []
            store.wakeups.hear("relay", heard.extend)
            async with store.wakeups.watch("relay", web2) as watch:
                await store.relay_queue.put_inbound(web1, Kind.RESULT, b"x")
                await store.relay_queue.put_commands([Outgoing(one, b"x", later(60)) for one in (web1, web2)])
                assert await watch.wait(WITHIN)

            assert sorted(heard) == sorted([web1, web2])

        store_runner.run(scenario())

    def test_the_relay_queue_wakes_the_agents_poll_and_a_scheduler(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Only that agent's."""

        async def scenario() -> None:
            web1, web2 = sample_agent_id("web1"), sample_agent_id("web2")
            wakeups = store.wakeups
            async with (
                wakeups.watch("relay", web1) as mine,
                wakeups.watch("relay", web2) as other,
                wakeups.watch("inbound") as inbound,
            ):
                await store.relay_queue.put_commands([Outgoing(web1, b"x", later(60))])
                assert await mine.wait(WITHIN)
                await store.relay_queue.put_inbound(web1, Kind.RESULT, b"y")
                assert await inbound.wait(WITHIN)
                assert not await other.wait(0.01)

        store_runner.run(scenario())

    def test_a_cancel_wakes_the_outbox(self, store: Store, store_runner: asyncio.Runner) -> None:
        """When there is somebody to be told."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1")
            await store.commands.mark_sent([command.id], NOW)
            async with store.wakeups.watch("outbox") as watch:
                await store.actions.cancel(command.action, b"cancel", by=SIGNER, now=NOW)
                assert await watch.wait(WITHIN)

        store_runner.run(scenario())

    def test_a_wakeup_before_the_wait_is_not_lost_and_counts_once(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """And a watch that was left hears nothing."""

        async def scenario() -> None:
            async with store.wakeups.watch("agent") as early, store.wakeups.watch("agent") as late:
                await store.agents.enrol(enrolment("web1"), approved=True, token_digest=b"t", now=NOW)
                assert await late.wait(WITHIN)
                assert await early.wait(0)
                assert not await early.wait(0.01)

        store_runner.run(scenario())
