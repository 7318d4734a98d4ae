"""What counts as an answer: the collector over a real database, real agents keys, and what a liar may send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Action, Operation
from mig_core.domain.agent import AgentFacts, Enrolment, Heartbeat
from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import ActionId, Fingerprint, uuid7
from mig_core.domain.messages import Inbound, Kind
from mig_core.domain.result import Answer, ModuleResult
from mig_core.domain.target import parse_target
from mig_core.identity import AgentKey
from mig_core.relay.memory import MemoryRelay
from mig_core.scheduler.collector import Collector
from mig_core.store.postgres import PostgresStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mig_core.domain.ids import AgentId
    from mig_core.store.rows import CommandRow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HONEST, OTHER = AgentKey(b"1" * 32), AgentKey(b"2" * 32)
STRANGER = AgentKey(b"3" * 32)
ACTION = ActionId(uuid7(NOW, b"x" * 10))


def facts(key: AgentKey) -> AgentFacts:
    return AgentFacts(key.agent_id, f"agent-{key.agent_id[:4]}", "1.0", "daemon", 1, NOW)


def answer(command: CommandRow, *, found: bool = True) -> Answer:
    results = (ModuleResult(found, True, {"s1": []}),)
    return Answer(command.id, command.action, command.agent, CommandState.SUCCESS, "", results, NOW, NOW)


def sent(key: AgentKey, envelope: Envelope, kind: Kind = Kind.RESULT) -> Inbound:
    return Inbound(kind, key.agent_id, envelope.to_bytes())


def signed(key: AgentKey, document: Answer) -> Inbound:
    return sent(key, key.sign(envelopes.RESULT, document.to_payload()))


@dataclass
class Books:
    """A platform with one action that two agents were asked."""

    store: PostgresStore
    collector: Collector
    commands: Mapping[AgentId, CommandRow]

    async def state(self, key: AgentKey) -> CommandState:
        return (await self.store.commands.get(ACTION, key.agent_id)).state

    async def collect(self, *messages: Inbound) -> Mapping[str, int]:
        await self.collector.collect(messages)
        return await self.store.numbers.counters()


def with_books(url: str, scenario: Callable[[Books], Awaitable[None]]) -> None:
    async def run() -> None:
        store = PostgresStore(url, pool_size=2)
        await store.open()
        try:
            for key in (HONEST, OTHER):
                enrolment = Enrolment(facts(key), key.public_key, "memory", "", NOW)
                await store.agents.enrol(enrolment, approved=True, token_digest=b"t" * 32, now=NOW)
            action = Action(ACTION, "x", "all", NOW, NOW + timedelta(hours=1), (Operation("file", {}),))
            signers = [Fingerprint("A" * 40)]
            await store.actions.create(action, b"{}", signers=signers, state=ActionState.SCHEDULED, now=NOW)
            await store.actions.fan_out(ACTION, parse_target("all"), now=NOW)
            rows, _ = await store.commands.list(ACTION)
            collector = Collector(store, MemoryRelay().platform_end(), lambda: NOW)
            await scenario(Books(store, collector, {row.agent: row for row in rows}))
        finally:
            await store.close()

    asyncio.run(run())


def test_an_honest_answer_is_recorded_and_the_action_ends_with_the_last_one(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        counters = await books.collect(
            signed(HONEST, answer(books.commands[HONEST.agent_id])),
            signed(OTHER, answer(books.commands[OTHER.agent_id], found=False)),
        )

        action = await books.store.actions.get(ACTION)
        assert (action.state, action.found, dict(action.counts)) == (
            ActionState.COMPLETED,
            1,
            {CommandState.SUCCESS: 2},
        )
        assert counters == {}

    with_books(store_url, scenario)


def test_an_answer_signed_with_another_key_changes_nothing(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        forged = OTHER.sign(envelopes.RESULT, answer(books.commands[HONEST.agent_id]).to_payload())
        disguised = replace(forged, signatures=(Signature(HONEST.agent_id, forged.signatures[0].sig),))

        counters = await books.collect(sent(HONEST, disguised))

        assert counters == {"result.forged": 1}
        assert await books.state(HONEST) is CommandState.QUEUED

    with_books(store_url, scenario)


@pytest.mark.parametrize("position", [0, 100, -1])
def test_an_answer_with_one_changed_byte_changes_nothing(store_url: str, position: int) -> None:
    async def scenario(books: Books) -> None:
        honest = HONEST.sign(envelopes.RESULT, answer(books.commands[HONEST.agent_id]).to_payload())
        payload = bytearray(honest.payload)
        payload[position] ^= 1

        counters = await books.collect(sent(HONEST, replace(honest, payload=bytes(payload))))

        assert counters == {"result.forged": 1}
        assert await books.state(HONEST) is CommandState.QUEUED

    with_books(store_url, scenario)


def test_an_agent_cannot_answer_for_another(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        about_honest = answer(books.commands[HONEST.agent_id])
        as_itself = replace(about_honest, agent=OTHER.agent_id)

        counters = await books.collect(signed(OTHER, about_honest), signed(OTHER, as_itself))

        assert counters == {"result.foreign": 2}
        assert await books.state(HONEST) is CommandState.QUEUED

    with_books(store_url, scenario)


def test_what_comes_over_another_login_than_the_signers_is_foreign(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        honest = signed(HONEST, answer(books.commands[HONEST.agent_id]))

        counters = await books.collect(replace(honest, agent=OTHER.agent_id))

        assert counters == {"result.foreign": 1}
        assert await books.state(HONEST) is CommandState.QUEUED

    with_books(store_url, scenario)


def test_a_stranger_and_a_retired_agent_are_foreign(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        command = books.commands[HONEST.agent_id]
        await books.store.agents.retire(OTHER.agent_id, NOW)

        counters = await books.collect(
            signed(STRANGER, replace(answer(command), agent=STRANGER.agent_id)),
            signed(OTHER, answer(books.commands[OTHER.agent_id])),
        )

        assert counters == {"result.foreign": 2}

    with_books(store_url, scenario)


def test_a_replayed_answer_is_a_duplicate_and_a_second_opinion_too(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        command = books.commands[HONEST.agent_id]
        await books.collect(signed(HONEST, answer(command)))

        counters = await books.collect(signed(HONEST, answer(command)), signed(HONEST, answer(command, found=False)))

        assert counters == {"result.duplicate": 2}
        assert (await books.store.commands.get(ACTION, HONEST.agent_id)).found is True

    with_books(store_url, scenario)


def test_garbage_and_envelopes_of_another_type_are_malformed(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        heartbeat = HONEST.sign(envelopes.HEARTBEAT, Heartbeat(facts(HONEST), 1, NOW).to_payload())

        counters = await books.collect(
            Inbound(Kind.RESULT, HONEST.agent_id, b"\xff not json"),
            Inbound(Kind.RESULT, HONEST.agent_id, b"{}"),
            sent(HONEST, heartbeat),
            sent(HONEST, HONEST.sign(envelopes.RESULT, b'{"state": "success"}')),
        )

        assert counters == {"result.malformed": 4}

    with_books(store_url, scenario)


def test_a_liar_in_a_batch_does_not_keep_the_honest_from_being_heard(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        await books.collect(
            Inbound(Kind.RESULT, OTHER.agent_id, b"garbage"),
            signed(HONEST, answer(books.commands[HONEST.agent_id])),
        )

        assert await books.state(HONEST) is CommandState.SUCCESS

    with_books(store_url, scenario)


def test_a_replayed_heartbeat_changes_nothing(store_url: str) -> None:
    async def scenario(books: Books) -> None:
        beats = [
            HONEST.sign(envelopes.HEARTBEAT, Heartbeat(facts(HONEST), number, NOW).to_payload()) for number in (2, 1)
        ]

        first = await books.collect(sent(HONEST, beats[0], Kind.HEARTBEAT))
        second = await books.collect(sent(HONEST, beats[0], Kind.HEARTBEAT), sent(HONEST, beats[1], Kind.HEARTBEAT))

        assert first == {}
        assert second == {"heartbeat.replayed": 2}

    with_books(store_url, scenario)
