"""What a relay in memory has lost is found out by what waits there, and handed over again."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.command import ActionState
from mig_core.domain.envelope import ACTION, CANCEL, Envelope, Signature
from mig_core.relay.memory import MemoryRelay
from mig_core.scheduler import lost_commands
from mig_core.scheduler.fanout import FanOut, Outbox
from mig_core.scheduler.lost_commands import ALTOGETHER, AT_A_TIME, BETWEEN, FIRST, LostCommands
from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_samples import NOW, SIGNER, action, answer, enrolled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    import pytest

    from mig_core.domain.ids import ActionId, AgentId
    from mig_core.domain.messages import Outgoing

SIGNED = Envelope(ACTION, b"{}", (Signature("A" * 40, b"x"),)).to_bytes()
CANCELLED = Envelope(CANCEL, b"{}", (Signature("A" * 40, b"x"),)).to_bytes()


class ForgetfulRelay:
    """A broker that keeps messages in memory, each until its agent takes it."""

    def __init__(self) -> None:
        self._end = MemoryRelay().platform_end()
        self.epoch = 1
        self.handed_over: list[Outgoing] = []
        self.full = False
        """Whether it takes nothing."""
        self.waiting: list[Outgoing] = []
        self.asked: list[AgentId] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._end, name)

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        if self.full:
            return range(len(messages))
        self.handed_over += messages
        self.waiting += messages
        return ()

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        self.asked += agents
        waiting = {message.agent for message in self.waiting}
        return [agent for agent in agents if agent not in waiting]

    def take(self) -> None:
        """Agents have what waited."""
        self.waiting.clear()

    def die(self) -> None:
        """It is started again without what it had."""
        self.waiting.clear()
        self.epoch += 1


class Situation:
    """Two agents that were sent a command at NOW, and a clock."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.relay = ForgetfulRelay()
        self.time = NOW
        self.lost = LostCommands(store, self.relay, self.now)  # type: ignore[arg-type]  # by __getattr__

    def now(self) -> datetime:
        return self.time

    async def ask(self, name: str) -> ActionId:
        """Sends both agents a command at NOW."""
        asked = action(name, ends=7 * 86400)
        await self.store.actions.create(asked, SIGNED, signers=[SIGNER], state=ActionState.SCHEDULED, now=NOW)
        await FanOut(self.store, lambda: NOW).run_due()
        await self.hand_over()
        return asked.id

    async def hand_over(self) -> None:
        await Outbox(self.store, {"memory": self.relay}, self.now).run()  # type: ignore[dict-item]  # by __getattr__

    async def look(self, after: timedelta) -> int:
        """What a look so long after NOW has handed over."""
        self.time = NOW + after
        before = len(self.relay.handed_over)
        await self.lost.look()
        await self.hand_over()
        return len(self.relay.handed_over) - before


def with_two_commands_sent(url: str, scenario: Callable[[Situation], Awaitable[None]]) -> None:
    async def run() -> None:
        async with PostgresStore(url, pool_size=3) as store:
            await enrolled(store, "web1", "web2", relay="memory")
            situation = Situation(store)
            await situation.ask("lost")
            await situation.lost.look()
            await scenario(situation)

    asyncio.run(run())


def test_what_a_broker_lost_when_it_was_killed_is_handed_over_at_once(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        situation.relay.die()

        assert await situation.look(timedelta(seconds=1)) == 2
        assert await situation.look(timedelta(seconds=2)) == 0, "it waits there again"

    with_two_commands_sent(store_url, scenario)


def test_a_connection_that_was_cut_sends_nothing_twice_to_who_has_not_taken_it(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        situation.relay.epoch += 1

        assert await situation.look(timedelta(seconds=1)) == 0
        assert len(situation.relay.asked) == 2 + 2, "at the start, and now"

    with_two_commands_sent(store_url, scenario)


def test_what_is_lost_without_a_word_is_handed_over_after_a_while_with_growing_pauses(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        situation.relay.take()

        early = await situation.look(FIRST - timedelta(seconds=1))
        due = await situation.look(FIRST + BETWEEN)
        situation.relay.take()
        too_soon = await situation.look(FIRST * 2 + BETWEEN)
        due_again = await situation.look(FIRST * 3 + BETWEEN * 2)

        assert (early, due, too_soon, due_again) == (0, 2, 0, 2)

    with_two_commands_sent(store_url, scenario)


def test_a_relay_that_keeps_what_it_confirmed_is_not_asked(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        situation.relay.die()
        situation.relay.epoch = 0

        assert await situation.look(FIRST * 10) == 0

    with_two_commands_sent(store_url, scenario)


def test_what_waits_for_its_agents_does_not_hide_what_is_lost_behind_it(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many agents are away: a look doubts so many commands, and the next one those behind them."""
    monkeypatch.setattr(lost_commands, "_PAGE", 1)
    monkeypatch.setattr(lost_commands, "_MOST", 1)

    async def scenario(situation: Situation) -> None:
        first, second = sorted(situation.relay.waiting, key=lambda one: json.loads(one.body)["command"])
        situation.relay.waiting = [first]

        looks = [await situation.look(FIRST + BETWEEN * number) for number in (1, 2)]

        assert looks == [0, 1]
        assert situation.relay.handed_over[-1].agent == second.agent

    with_two_commands_sent(store_url, scenario)


def test_an_agent_that_is_long_at_work_is_not_filled_up_with_what_it_has(store_url: str) -> None:
    """It takes so many messages at once, and a cancel is one of them. What it answers makes room."""

    async def scenario(situation: Situation) -> None:
        asked = [await situation.ask(f"long{number}") for number in range(4)]
        hour = timedelta(hours=1)

        async def look(number: int) -> int:
            situation.relay.take()
            return await situation.look(hour * number)

        at_work = [await look(number) for number in range(1, 6)]
        for one in asked:
            rows, _ = await situation.store.commands.list(one)
            await situation.store.commands.record([answer(row) for row in rows], situation.time)
        answered = [await look(number) for number in (6, 7)]

        assert at_work == [2 * AT_A_TIME] * (ALTOGETHER // AT_A_TIME) + [0]
        assert answered == [0, 2]

    with_two_commands_sent(store_url, scenario)


def test_what_a_broker_does_not_take_is_tried_again_before_its_lease_ends(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        situation.relay.full = True
        await situation.ask("more")
        situation.relay.full = False
        situation.relay.handed_over.clear()

        situation.time = NOW + timedelta(seconds=9)
        await situation.hand_over()
        too_early = len(situation.relay.handed_over)
        situation.time = NOW + timedelta(seconds=10)
        await situation.hand_over()

        assert (too_early, len(situation.relay.handed_over)) == (0, 2)

    with_two_commands_sent(store_url, scenario)


def test_a_cancel_goes_before_the_command_that_is_handed_over_again_with_it(store_url: str) -> None:
    async def scenario(situation: Situation) -> None:
        asked = await situation.ask("unwanted")
        await situation.store.actions.cancel(asked, CANCELLED, by=SIGNER, now=NOW)
        situation.relay.die()
        situation.relay.handed_over.clear()

        await situation.look(timedelta(seconds=1))

        kinds = [json.loads(one.body)["kind"] for one in situation.relay.handed_over]
        assert kinds == ["cancel"] * 2 + ["command"] * 4

    with_two_commands_sent(store_url, scenario)
