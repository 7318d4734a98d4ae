"""One action, command, agent or message that cannot be worked on does not keep the scheduler from the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg

from mig_core.config.server import SchedulerSettings
from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.errors import RelayDenied
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.relay.memory import MemoryRelay
from mig_core.scheduler.fanout import FanOut, Outbox
from mig_core.scheduler.periodic import Periodic
from mig_core.scheduler.service import Scheduler
from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_samples import NOW, SIGNER, action, enrolled, later, sample_agent_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mig_core.domain.ids import AgentId

SIGNED = Envelope(ACTION, b"{}", (Signature("A" * 40, b"x"),)).to_bytes()


def on_store(url: str, scenario: Callable[[PostgresStore], Awaitable[None]]) -> None:
    async def run() -> None:
        async with PostgresStore(url, pool_size=3) as store:
            await enrolled(store, "web1", "web2")
            await scenario(store)

    asyncio.run(run())


async def ask(store: PostgresStore, name: str, *, envelope: bytes = SIGNED, target: str = "all") -> None:
    asked = action(name, target=target)
    await store.actions.create(asked, envelope, signers=[SIGNER], state=ActionState.SCHEDULED, now=NOW)


def test_an_action_whose_target_no_longer_parses_ends_with_the_reason_and_the_next_is_fanned_out(
    store_url: str,
) -> None:
    async def scenario(store: PostgresStore) -> None:
        await ask(store, "spoilt")
        await ask(store, "good")
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("UPDATE actions SET target = 'name ???' WHERE name = 'spoilt'")

        await FanOut(store, lambda: NOW).run_due()

        spoilt, good = await store.actions.get(action("spoilt").id), await store.actions.get(action("good").id)
        assert (spoilt.state, good.state) == (ActionState.COMPLETED, ActionState.INFLIGHT)
        assert "cannot be fanned out" in spoilt.reason

    on_store(store_url, scenario)


def test_a_target_that_postgresql_gives_up_on_ends_its_action(store_url: str) -> None:
    async def scenario(store: PostgresStore) -> None:
        await ask(store, "spoilt")
        await ask(store, "good")
        with psycopg.connect(store_url, autocommit=True) as connection:
            # What a too deep expression raises (54001) is no connection's fault, whatever psycopg's class says.
            connection.execute(
                """
                CREATE FUNCTION too_deep() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'stack depth limit exceeded' USING ERRCODE = '54001'; END $$;
                CREATE TRIGGER too_deep BEFORE INSERT ON commands FOR EACH ROW
                WHEN (NEW.action_id = '{}') EXECUTE FUNCTION too_deep();
            """.format(action("spoilt").id)
            )

        await FanOut(store, lambda: NOW).run_due()

        spoilt, good = await store.actions.get(action("spoilt").id), await store.actions.get(action("good").id)
        assert (spoilt.state, good.state) == (ActionState.COMPLETED, ActionState.INFLIGHT)
        assert "stack depth" in spoilt.reason

    on_store(store_url, scenario)


def test_commands_of_an_envelope_that_cannot_be_read_end_with_the_reason_and_the_others_leave(store_url: str) -> None:
    async def scenario(store: PostgresStore) -> None:
        await ask(store, "spoilt", envelope=b"no envelope")
        await ask(store, "good")
        await FanOut(store, lambda: NOW).run_due()

        async def arrival(seconds: float) -> None:
            await asyncio.sleep(seconds)

        relay = HttpsPlatformRelay(store.relay_queue, arrival, now=lambda: NOW)
        await Outbox(store, {"https": relay}, lambda: NOW).run()

        spoilt, _ = await store.commands.list(action("spoilt").id)
        good, _ = await store.commands.list(action("good").id)
        assert {row.state for row in spoilt} == {CommandState.EXPIRED}
        assert all("cannot be handed to the relay" in row.reason for row in spoilt)
        assert {row.state for row in good} == {CommandState.SENT}

    on_store(store_url, scenario)


def test_a_part_of_the_periodic_work_that_fails_does_not_keep_the_others_from_being_done(store_url: str) -> None:
    async def scenario(store: PostgresStore) -> None:
        await ask(store, "old")
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute("""
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
                CREATE TRIGGER refuse BEFORE UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION refuse();
            """)
        long_after = later(7 * 86400)

        await Periodic(store, SchedulerSettings(), lambda: long_after).run()

        assert (await store.actions.get(action("old").id)).state is ActionState.EXPIRED

    on_store(store_url, scenario)


class PickyRelay:
    """A relay in memory that makes no place for one agent, as RabbitMQ does for a queue declared otherwise."""

    def __init__(self, unwanted: AgentId) -> None:
        self._end = MemoryRelay().platform_end()
        self._unwanted = unwanted
        self.admitted: set[AgentId] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._end, name)

    async def admit(self, agents: Sequence[AgentId]) -> None:
        if self._unwanted in agents:
            raise RelayDenied("406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type'")
        await self._end.admit(agents)
        self.admitted.update(agents)


def test_an_agent_for_which_no_place_can_be_made_does_not_keep_others_out(store_url: str) -> None:
    async def scenario(store: PostgresStore) -> None:
        names = [f"queue{number}" for number in range(5)]
        agents = await enrolled(store, *names, relay="memory")
        relay = PickyRelay(sample_agent_id("queue2"))
        scheduler = Scheduler(store, [relay], SchedulerSettings(), now=lambda: NOW)  # type: ignore[list-item]  # by __getattr__

        running = asyncio.create_task(scheduler.run())
        try:
            async with asyncio.timeout(60):
                while len(relay.admitted) < 4:
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert relay.admitted == set(agents) - {sample_agent_id("queue2")}

    on_store(store_url, scenario)
