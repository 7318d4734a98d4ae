"""Whatever happens in whatever order: a command never moves backwards, the sums hold, a follower misses nothing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.domain.command import ANSWERED, ActionState, CommandState
from mig_core.errors import Conflict
from mig_core.testing.store_samples import (
    LEASE,
    SIGNER,
    action,
    answer,
    enrolled,
    later,
    module_result,
    scheduled,
)

if TYPE_CHECKING:
    import asyncio

    from mig_core.domain.action import Action
    from mig_core.domain.ids import CommandId
    from mig_core.store.postgres import PostgresStore

    States = dict[CommandId, CommandState]

AGENTS = ("web0", "web1", "web2", "web3")
RANK = {CommandState.QUEUED: 0, CommandState.SENT: 1}

_numbers = itertools.count()
_agent = st.integers(0, len(AGENTS) - 1)
_answer = st.tuples(_agent, st.sampled_from(sorted(ANSWERED)), st.booleans())
EVENTS = st.one_of(
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(st.just("sent"), st.lists(_agent, max_size=4)),
    st.tuples(st.just("answer"), st.lists(_answer, max_size=5)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("expire"), st.sampled_from([10.0, 1000.0])),
    st.tuples(st.just("settle")),
)


@dataclass
class Follower:
    """Reads on from the last position, as mig-api does."""

    position: str = ""
    seen: list[str] = field(default_factory=list)

    async def read(self, store: PostgresStore, asked: Action) -> None:
        while page := await store.commands.finished_since(asked.id, position=self.position, limit=2):
            self.seen += [one.id for one in page]
            self.position = page[-1].position


async def _happen(store: PostgresStore, asked: Action, event: tuple[object, ...]) -> None:
    commands, _ = await store.commands.list(asked.id)
    match event:
        case ("claim", int(limit)):
            await store.commands.claim_unsent(["https"], limit=limit, lease=LEASE, now=later(1))
        case ("sent", list(numbers)):
            await store.commands.mark_sent([commands[number].id for number in numbers], later(2))
        case ("answer", list(answers)):
            said = [
                answer(commands[number], state=CommandState(state), results=[module_result(found=found)])
                for number, state, found in answers
            ]
            await store.commands.record(said, later(3))
        case ("cancel",):
            try:
                await store.actions.cancel(asked.id, b"cancel", by=SIGNER, now=later(4))
            except Conflict:
                assert (await store.actions.get(asked.id)).state.is_final
        case ("expire", float(moment)):
            await store.actions.expire(now=later(moment), grace=timedelta())
        case ("settle",):
            await store.actions.settle(later(5))


async def _check(store: PostgresStore, asked: Action, before: States) -> States:
    row = await store.actions.get(asked.id)
    commands, _ = await store.commands.list(asked.id)
    after = {one.id: one.state for one in commands}
    assert row.targeted == len(commands) == sum(row.counts.values())
    assert row.found == sum(bool(one.found) for one in commands)
    for identifier, state in before.items():
        assert after[identifier] == state if state.is_final else RANK.get(after[identifier], 2) >= RANK[state]
    if row.state is not ActionState.INFLIGHT:
        assert row.state.is_final
        assert all(state.is_final for state in after.values())
    return after


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=st.lists(EVENTS, max_size=12))
def test_the_books_hold_whatever_happens(
    store: PostgresStore, store_runner: asyncio.Runner, events: list[tuple[object, ...]]
) -> None:
    async def scenario() -> None:
        if not (await store.numbers.dashboard(later(0)))["agents"]:
            await enrolled(store, *AGENTS)
        asked = action(f"number {next(_numbers)}", ends=100)
        await scheduled(store, asked)
        await store.actions.fan_out(asked.id, asked.parsed_target(), now=later(0))
        follower = Follower()
        states = await _check(store, asked, {})

        for event in events:
            await _happen(store, asked, event)
            await follower.read(store, asked)
            states = await _check(store, asked, states)

        await store.actions.expire(now=later(1000), grace=timedelta())
        await store.actions.settle(later(1001))
        await follower.read(store, asked)
        await _check(store, asked, states)
        assert (await store.actions.get(asked.id)).state.is_final
        assert sorted(follower.seen) == sorted(states)

    store_runner.run(scenario())
