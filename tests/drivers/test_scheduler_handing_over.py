"""A scheduler hands over itself what it has fanned out, and writes the marks later: whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.domain.messages import Inbound, Kind
from mig_core.errors import RelayUnavailable
from mig_core.relay.memory import MemoryRelay
from mig_core.scheduler.collector import Collector
from mig_core.scheduler.fanout import FanOut, Outbox
from mig_core.scheduler.handed_over import HandedOver
from mig_core.scheduler.lost_commands import LostCommands
from mig_core.scheduler.reading import Reading
from mig_core.store.postgres import PostgresStore
from mig_core.store.rows import Recording
from mig_core.testing.store_samples import LEASE, NOW, SIGNER, action, answer, enrolled, later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from mig_core.domain.ids import ActionId, AgentId
    from mig_core.domain.messages import Outgoing
    from mig_core.store.rows import CommandRow

SIGNED = Envelope(ACTION, b"{}", (Signature("A" * 40, b"x"),)).to_bytes()


class Broker:
    """Takes what it is given, as long as it is there."""

    name = "memory"

    def __init__(self) -> None:
        self._end = MemoryRelay().platform_end()
        self.epoch = 1
        self.away = False
        self.handed_over: list[AgentId] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._end, name)

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        if self.away:
            raise RelayUnavailable("away")
        self.handed_over += [one.agent for one in messages]
        return ()

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        return agents


class Platform:
    """A store, a relay, a clock, and the parts of one scheduler."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.broker = Broker()
        self.time = NOW
        self.begin()

    def begin(self) -> None:
        """A scheduler, as it starts; one before it is gone with all that it knew."""
        self.handed = HandedOver(self.store)
        relays = {"memory": self.broker}
        self.outbox = Outbox(self.store, relays, self.now, self.handed)  # type: ignore[arg-type]  # by __getattr__
        self.fan_out = FanOut(self.store, self.now, outbox=self.outbox)

    def now(self) -> datetime:
        return self.time

    async def ask(self, name: str) -> ActionId:
        """An action that is fanned out, and not handed over yet."""
        asked = action(name)
        await self.store.actions.create(asked, SIGNED, signers=[SIGNER], state=ActionState.SCHEDULED, now=self.time)
        await self.fan_out.run_due()
        return asked.id

    async def rows(self, asked: ActionId) -> Sequence[CommandRow]:
        return (await self.store.commands.list(asked))[0]


def with_two_agents(url: str, scenario: Callable[[Platform], Awaitable[None]]) -> None:
    async def run() -> None:
        async with PostgresStore(url, pool_size=3) as store:
            await enrolled(store, "web1", "web2", relay="memory")
            await scenario(Platform(store))

    asyncio.run(run())


def test_what_is_answered_at_once_is_never_marked_and_says_when_it_was_sent(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("quick")
        platform.time = later(1)
        await asyncio.wait_for(platform.outbox.wait_for_own(), 1)
        await platform.outbox.run_own()
        one, two = await platform.rows(asked)
        before = dict(platform.handed.sent)

        await platform.store.commands.record([answer(one)], later(2), sent=platform.handed.sent)
        platform.handed.answered([one.id])
        await platform.handed.mark()

        assert before == {one.id: later(1), two.id: later(1)}
        answered, sent = await platform.rows(asked)
        assert (answered.state, answered.sent_at) == (CommandState.SUCCESS, later(1))
        assert (sent.state, sent.sent_at) == (CommandState.SENT, later(1))
        assert not platform.handed.sent
        counts = (await platform.store.actions.get(asked)).counts
        assert counts == {CommandState.SENT: 1, CommandState.SUCCESS: 1}

    with_two_agents(store_url, scenario)


def test_marks_are_written_when_they_have_waited_and_not_before(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("slow")
        began = asyncio.get_running_loop().time()
        await platform.outbox.run_own()

        await platform.handed.mark(began - 1)
        early = await platform.rows(asked)
        await platform.handed.mark(asyncio.get_running_loop().time())

        assert {row.state for row in early} == {CommandState.QUEUED}
        assert {row.state for row in await platform.rows(asked)} == {CommandState.SENT}

    with_two_agents(store_url, scenario)


def test_a_scheduler_killed_before_it_handed_over_or_marked_delays_by_its_lease(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        handed = await platform.ask("handed over, not marked")
        await platform.outbox.run_own()
        left = await platform.ask("not handed over")
        platform.begin()

        await platform.outbox.run()
        at_once = len(platform.broker.handed_over)
        platform.time = NOW + LEASE + timedelta(seconds=1)
        await platform.outbox.run()
        await platform.handed.mark()

        assert at_once == 2
        assert len(platform.broker.handed_over) == 2 + 4
        for asked in (handed, left):
            assert (await platform.store.actions.get(asked)).counts == {CommandState.SENT: 2}

    with_two_agents(store_url, scenario)


def test_what_no_relay_took_is_claimed_again_when_the_lease_has_ended(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("away")
        platform.broker.away = True
        await platform.outbox.run_own()
        platform.broker.away = False
        nothing = dict(platform.handed.sent)

        platform.time = NOW + LEASE + timedelta(seconds=1)
        await platform.outbox.run()
        await platform.handed.mark()

        assert not nothing
        assert {row.sent_at for row in await platform.rows(asked)} == {platform.time}

    with_two_agents(store_url, scenario)


def test_what_cannot_be_handed_over_within_its_lease_is_left_to_whoever_claims_it(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        await platform.ask("late")

        platform.time = NOW + LEASE - timedelta(seconds=1)
        await platform.outbox.run_own()

        assert not platform.broker.handed_over

    with_two_agents(store_url, scenario)


def test_a_cancelled_question_is_handed_over_to_nobody(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("cancelled")
        await platform.store.actions.cancel(asked, b"cancel", by=SIGNER, now=NOW)

        await platform.outbox.run_own()

        assert not platform.broker.handed_over
        assert {row.state for row in await platform.rows(asked)} == {CommandState.CANCELLED}
        assert await platform.store.actions.settle(NOW) == [asked]

    with_two_agents(store_url, scenario)


def test_a_question_that_is_cancelled_before_the_mark_is_written_ends_with_its_agents_answers(store_url: str) -> None:
    """They may run it; ended at once, it would be in the books as stopped while they still look."""

    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("cancelled at once")
        await platform.outbox.run_own()
        one, two = await platform.rows(asked)

        cancelled = await platform.store.actions.cancel(asked, b"cancel", by=SIGNER, now=NOW)
        early = await platform.store.actions.settle(NOW)
        told = [answer(row, state=CommandState.CANCELLED, reason="cancelled while it ran") for row in (one, two)]
        recorded = await platform.store.commands.record(told, later(1), sent=platform.handed.sent)

        assert (cancelled.state, early) == (ActionState.INFLIGHT, [])
        assert recorded == [Recording.RECORDED] * 2
        assert await platform.store.actions.settle(later(1)) == [asked]

    with_two_agents(store_url, scenario)


def test_an_answer_by_somebody_else_takes_no_mark_away(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        asked = await platform.ask("foreign")
        await platform.outbox.run_own()
        one, two = await platform.rows(asked)
        collector = Collector(platform.store, platform.broker, platform.now, handed=platform.handed)  # type: ignore[arg-type]  # by __getattr__
        foreign = Reading(Inbound(Kind.RESULT, two.agent, b""), answer=replace(answer(one), agent=two.agent))
        counted: Counter[str] = Counter()

        await collector._record(counted, [foreign])
        await platform.handed.mark()

        assert counted == {"result.foreign": 1}
        assert {row.state for row in await platform.rows(asked)} == {CommandState.SENT}

    with_two_agents(store_url, scenario)


def test_what_a_broker_confirmed_just_before_it_was_killed_is_handed_over_again(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        lost = LostCommands(platform.store, platform.broker, platform.now, platform.handed)  # type: ignore[arg-type]  # by __getattr__
        await lost.look()
        asked = await platform.ask("lost")
        await platform.outbox.run_own()
        platform.broker.epoch += 1

        await lost.look()
        await platform.outbox.run()

        assert len(platform.broker.handed_over) == 4
        await platform.handed.mark()
        assert (await platform.store.actions.get(asked)).counts == {CommandState.SENT: 2}

    with_two_agents(store_url, scenario)
