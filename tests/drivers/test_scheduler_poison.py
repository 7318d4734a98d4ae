"""One message that the database will not take: it is set aside, its command says so, and everybody else is heard."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import MAX_NAME_BYTES, AgentFacts, Enrolment, Heartbeat
from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.ids import AgentId
from mig_core.domain.messages import Inbound, Kind
from mig_core.domain.result import Answer, ModuleResult
from mig_core.identity import AgentKey
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.scheduler.collector import Collector
from mig_core.store.postgres import PostgresStore
from mig_core.store.set_aside import drop, shelved, shelved_body, take_again
from mig_core.testing.store_samples import SIGNER, action, later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mig_core.store.rows import CommandRow

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEYS = [AgentKey(bytes([number]) * 32) for number in range(1, 9)]
POISONER, *HONEST = KEYS
ASKED = action("poison", ends=3600)

REFUSING = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
    CREATE TRIGGER refusing BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse();
"""
BEATING = "NEW.version = 'poison'"
ANSWERING = "NEW.results::text LIKE '%poison%'"


def facts(key: AgentKey, *, version: str = "1.0", name: str = "") -> AgentFacts:
    return AgentFacts(key.agent_id, name or f"agent-{key.agent_id[:4]}", version, "daemon", 1, NOW)


def heartbeat(key: AgentKey, sequence: int, **about: str) -> Inbound:
    payload = Heartbeat(facts(key, **about), sequence, NOW).to_payload()
    return Inbound(Kind.HEARTBEAT, key.agent_id, key.sign(envelopes.HEARTBEAT, payload).to_bytes())


def answer(key: AgentKey, command: CommandRow, elements: str = "") -> Inbound:
    results = (ModuleResult(True, True, {"s1": elements}),)
    document = Answer(command.id, command.action, command.agent, CommandState.SUCCESS, "", results, NOW, NOW)
    return Inbound(Kind.RESULT, key.agent_id, key.sign(envelopes.RESULT, document.to_payload()).to_bytes())


@dataclass
class Platform:
    """A scheduler's collector on a database with eight agents and one question to all of them."""

    url: str
    store: PostgresStore
    collector: Collector
    commands: dict[str, CommandRow]

    def refuse(self, table: str, condition: str, body: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(REFUSING.format(table=table, condition=condition, body=body).encode())

    async def collect(self, *messages: Inbound) -> dict[str, int]:
        await self.collector.collect(messages)
        return dict(await self.store.numbers.counters())

    async def heard(self) -> set[str]:
        return {row.name for row in (await self.store.agents.list(now=NOW))[0] if row.version == "2.0"}

    async def states(self) -> dict[str, CommandState]:
        rows, _ = await self.store.commands.list(ASKED.id)
        return {row.agent: row.state for row in rows}


def on_platform(url: str, scenario: Callable[[Platform], Awaitable[None]]) -> None:
    async def run() -> None:
        async with PostgresStore(url, pool_size=2) as store:
            for key in KEYS:
                enrolment = Enrolment(facts(key), key.public_key, "https", "", NOW)
                await store.agents.enrol(enrolment, approved=True, token_digest=b"t" * 32, now=NOW)
            await store.actions.create(ASKED, b"{}", signers=[SIGNER], state=ActionState.SCHEDULED, now=NOW)
            await store.actions.fan_out(ASKED.id, ASKED.parsed_target(), now=NOW)
            rows, _ = await store.commands.list(ASKED.id)

            async def arrival(seconds: float) -> None:
                await asyncio.sleep(min(seconds, 0.1))

            relay = HttpsPlatformRelay(store.relay_queue, arrival, interval=0.1)
            collector = Collector(store, relay, lambda: NOW)
            await scenario(Platform(url, store, collector, {row.agent: row for row in rows}))
            await relay.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "body",
    [
        "RAISE EXCEPTION 'index row size 2800 exceeds maximum' USING ERRCODE = '54000';",
        "RAISE EXCEPTION 'invalid memory alloc request size 1073741824' USING ERRCODE = 'XX000';",
        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW;",
    ],
    ids=["a limit", "an allocation", "the backend dies of it"],
)
def test_a_heartbeat_the_database_will_not_take_is_set_aside_and_all_others_count(store_url: str, body: str) -> None:
    async def scenario(platform: Platform) -> None:
        platform.refuse("agents", BEATING, body)
        poison = heartbeat(POISONER, 1, version="poison")

        counters = await platform.collect(
            *(heartbeat(key, 1, version="2.0") for key in HONEST[:3]),
            poison,
            *(heartbeat(key, 1, version="2.0") for key in HONEST[3:]),
        )

        assert counters == {"heartbeat.set_aside": 1}
        assert await platform.heard() == {facts(key).name for key in HONEST}
        (kept,) = shelved(platform.url)
        assert (kept.relay, kept.kind, kept.agent) == ("https", "heartbeat", POISONER.agent_id)
        assert shelved_body(platform.url, kept.number) == poison.body
        assert (await platform.store.numbers.dashboard(NOW))["alarms"] == {"messages_set_aside": 1}

    on_platform(store_url, scenario)


def test_an_answer_the_database_will_not_take_ends_its_command_with_the_reason(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        platform.refuse("commands", ANSWERING, "RAISE EXCEPTION 'string too long' USING ERRCODE = '54000';")
        poison = answer(POISONER, platform.commands[POISONER.agent_id], "poison")

        counters = await platform.collect(
            poison, *(answer(key, platform.commands[key.agent_id], "found") for key in HONEST)
        )

        states = await platform.states()
        assert states.pop(POISONER.agent_id) is CommandState.FAILED
        assert set(states.values()) == {CommandState.SUCCESS}
        assert counters == {"result.set_aside": 1}
        reason = (await platform.store.commands.get(ASKED.id, POISONER.agent_id)).reason
        assert "set aside as number 1" in reason
        assert "string too long" in reason
        assert (await platform.store.actions.get(ASKED.id)).state is ActionState.COMPLETED

    on_platform(store_url, scenario)


@pytest.mark.fault("poison message")
def test_the_relay_goes_on_after_the_poison_and_never_sees_it_again(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        platform.refuse("agents", BEATING, "RAISE EXCEPTION 'too long' USING ERRCODE = '54000';")
        queue = platform.store.relay_queue
        for message in (heartbeat(POISONER, 1, version="poison"), heartbeat(HONEST[0], 1, version="2.0")):
            await queue.put_inbound(AgentId(message.agent), *_parts(message))

        running = asyncio.create_task(platform.collector.run())
        await _until(platform.heard)
        await queue.put_inbound(HONEST[1].agent_id, *_parts(heartbeat(HONEST[1], 1, version="2.0")))
        await _until(lambda: _with(platform.heard, 2))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert await queue.take_inbound(limit=9, lease=1, now=later(86400)) == []
        assert len(shelved(platform.url)) == 1

    on_platform(store_url, scenario)


def test_what_was_set_aside_can_be_tried_again_or_dropped(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        platform.refuse("agents", BEATING, "RAISE EXCEPTION 'too long' USING ERRCODE = '54000';")
        poison = heartbeat(POISONER, 1, version="poison")
        await platform.collect(poison)
        with psycopg.connect(platform.url, autocommit=True) as connection:
            connection.execute("DROP TRIGGER refusing ON agents")

        again = take_again(platform.url, [1])
        taken = await platform.store.relay_queue.take_inbound(limit=9, lease=1, now=NOW)
        await platform.collect(*(message for _, message in taken))

        assert again == 1
        assert [message for _, message in taken] == [poison]
        assert shelved(platform.url) == []
        assert (await platform.store.agents.get(POISONER.agent_id)).version == "poison"
        assert drop(platform.url, []) == 0

    on_platform(store_url, scenario)


def test_a_name_too_long_for_an_index_is_malformed_and_the_longest_that_is_accepted_fits(store_url: str) -> None:
    chance = random.Random(17)

    def name(size: int) -> str:
        """Of ``size`` bytes that do not compress."""
        return "".join(chr(chance.randrange(0x10000, 0x20000)) for _ in range(size // 4))

    async def scenario(platform: Platform) -> None:
        counters = await platform.collect(
            heartbeat(POISONER, 1, name=name(4096)), heartbeat(HONEST[0], 1, name=name(MAX_NAME_BYTES))
        )

        assert counters == {"heartbeat.malformed": 1, "agent.name_changed": 1}
        rows, cursor = await platform.store.agents.list(now=NOW, limit=len(KEYS))
        assert await platform.store.agents.list(now=NOW, cursor=cursor) == ([], "")
        assert max(len(row.name) for row in rows) == MAX_NAME_BYTES // 4

    on_platform(store_url, scenario)


def test_a_large_result_nobody_waits_for_is_not_read(store_url: str) -> None:
    async def scenario(platform: Platform) -> None:
        command = platform.commands[HONEST[0].agent_id]
        large = "x" * (1 << 20)
        never_sent = replace(command, id=ASKED.id)  # type: ignore[arg-type]  # some id that no command has

        counters = await platform.collect(
            answer(HONEST[0], never_sent, large),
            answer(HONEST[1], command, large),
            Inbound(Kind.RESULT, HONEST[2].agent_id, b" " * (1 << 20)),
            answer(HONEST[0], command, large),
        )
        again = await platform.collect(answer(HONEST[0], command, large))

        assert counters == {"result.foreign": 3}
        assert again == {"result.foreign": 3, "result.duplicate": 1}
        assert (await platform.states())[HONEST[0].agent_id] is CommandState.SUCCESS

    on_platform(store_url, scenario)


def _parts(message: Inbound) -> tuple[Kind, bytes]:
    return message.kind, message.body


async def _with(heard: Callable[[], Awaitable[set[str]]], number: int) -> bool:
    return len(await heard()) == number


async def _until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)
