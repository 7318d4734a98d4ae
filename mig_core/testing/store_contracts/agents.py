"""Contract of :class:`mig_core.store.base.Agents`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.api.documents import agent_document
from mig_core.domain.agent import AgentState, Enrolment
from mig_core.domain.command import CommandState
from mig_core.domain.target import parse_target
from mig_core.errors import Conflict, InvalidDocument, NotFound
from mig_core.testing.store_samples import (
    NOW,
    digest,
    enrolled,
    enrolment,
    facts,
    fanned_out,
    heartbeat,
    later,
    sample_agent_id,
)

if TYPE_CHECKING:
    from mig_core.store.base import Store


class AgentsContract:
    """Endpoints that enrolled."""

    def test_an_agent_without_approval_waits_and_has_no_token(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Until it is approved; the next enrolment then brings its token."""

        async def scenario() -> None:
            agents, agent = store.agents, sample_agent_id("web1")
            pending = await agents.enrol(enrolment("web1"), approved=False, token_digest=digest("t1"), now=NOW)
            before = await agents.token_matches(agent, digest("t1"))
            keys_before = await agents.public_keys([agent])

            approved = await agents.approve(agent, NOW)
            again = await agents.approve(agent, NOW)
            between = await agents.token_matches(agent, digest("t1"))
            back = await agents.enrol(
                enrolment("web1", sent=later(1)), approved=False, token_digest=digest("t2"), now=later(1)
            )

            assert (pending.state, before, keys_before) == (AgentState.PENDING, False, {})
            assert (approved.state, again.state, between) == (AgentState.OFFLINE, AgentState.OFFLINE, False)
            assert back.state is AgentState.ONLINE
            assert await agents.token_matches(agent, digest("t2"))
            assert not await agents.token_matches(agent, digest("t1"))
            many = [(agent, digest("t1")), (sample_agent_id("nobody"), b""), (agent, digest("t2"))]
            assert list(await agents.tokens_match(many)) == [False, False, True]
            assert await agents.public_keys([agent]) == {agent: digest("web1")}
            with pytest.raises(NotFound):
                await agents.approve(sample_agent_id("nobody"), NOW)

        store_runner.run(scenario())

    def test_what_an_agent_says_of_itself_comes_back(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Whatever characters are in it: NUL and lone surrogates as U+FFFD."""

        async def scenario() -> None:
            said = facts("w\x00b \ud800 ü", tags={"k\x00": "\\u0000"}, environment={"os": "lin\x00ux", "n": [1, 2.5]})
            sent = Enrolment(said, digest(said.name), "amqp", "", NOW)

            row = await store.agents.enrol(sent, approved=True, token_digest=b"t", now=NOW)

            assert row == await store.agents.get(said.id)
            assert row.name.startswith("w\ufffdb ")
            assert row.environment == {"os": "lin\ufffdux", "n": [1, 2.5]}
            assert row.tags == {"k\ufffd": "\\u0000"}
            assert (row.pid, row.version, row.modules, row.relay) == (4242, "1.0", ("file",), "amqp")
            assert (row.state, row.started_at, row.enrolled_at) == (AgentState.ONLINE, said.started, NOW)
            with pytest.raises(NotFound):
                await store.agents.get(sample_agent_id("nobody"))

        store_runner.run(scenario())

    def test_replayed_and_foreign_enrolments_change_nothing(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Another key under the same id, or an enrolment that is not later than the last."""

        async def scenario() -> None:
            await enrolled(store, "web1")
            before = await store.agents.get(sample_agent_id("web1"))
            foreign = Enrolment(facts("web1"), digest("another key"), "https", "", later(5))

            for refused in (enrolment("web1"), enrolment("web1", sent=later(-5)), foreign):
                with pytest.raises(Conflict):
                    await store.agents.enrol(refused, approved=True, token_digest=digest("evil"), now=later(9))

            assert await store.agents.get(sample_agent_id("web1")) == before
            assert not await store.agents.token_matches(sample_agent_id("web1"), digest("evil"))

        store_runner.run(scenario())

    def test_a_retired_agent_is_out_for_good(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Key, token, enrolment, heartbeat and approval are refused, and its open commands end."""

        async def scenario() -> None:
            commands = await fanned_out(store, "web1", "web2")
            agent = commands[0].agent

            row = await store.agents.retire(agent, later(1))

            assert row.state is AgentState.RETIRED
            ended = await store.commands.get(commands[0].action, agent)
            assert (ended.state, ended.finished_at) == (CommandState.EXPIRED, later(1))
            assert "retired" in ended.reason
            assert (await store.commands.get(commands[1].action, commands[1].agent)).state is CommandState.QUEUED
            assert await store.agents.public_keys([agent]) == {}
            assert not await store.agents.token_matches(agent, digest("token web1"))
            assert await store.agents.beat([heartbeat("web1", 9)], later(2)) == []
            with pytest.raises(Conflict):
                await store.agents.enrol(
                    enrolment("web1", sent=later(3)), approved=True, token_digest=b"", now=later(3)
                )
            with pytest.raises(Conflict):
                await store.agents.approve(agent, later(3))
            with pytest.raises(NotFound):
                await store.agents.retire(sample_agent_id("nobody"), NOW)
            assert await store.agents.count(parse_target("all"), now=NOW) == 1

        store_runner.run(scenario())

    def test_heartbeats_count_once_and_in_order(self, store: Store, store_runner: asyncio.Runner) -> None:
        """A replayed one, one of a pending agent, one of a stranger change nothing."""

        async def scenario() -> None:
            web1, _ = await enrolled(store, "web1", "web2")
            await store.agents.enrol(enrolment("new"), approved=False, token_digest=b"", now=NOW)
            renamed = facts("web1", tags={"a": "b"})

            first = await store.agents.beat(
                [heartbeat("web1", 7, of=renamed), heartbeat("new", 1), heartbeat("nobody", 1)], later(60)
            )
            replayed = await store.agents.beat([heartbeat("web1", 7), heartbeat("web1", 6)], later(90))
            both = await store.agents.beat([heartbeat("web1", 9), heartbeat("web1", 8)], later(99))

            assert (first, replayed, both) == ([web1], [], [web1])
            row = await store.agents.get(web1)
            assert (row.heartbeat_at, row.statistics, row.state) == (later(99), {"commands": 9}, AgentState.ONLINE)
            assert row.persistent == {"audit": {"restarts": 9}}
            assert (row.heartbeat_sent_at, agent_document(row)["clockahead"]) == (NOW, -99.0)
            assert (await store.agents.get(sample_agent_id("new"))).state is AgentState.PENDING

        store_runner.run(scenario())

    def test_heartbeats_of_many_agents_keep_what_each_of_them_says(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Whatever characters are in it, and whoever else reports at the same moment in another order."""

        async def scenario() -> None:
            names = ("web1", "web2", "web3")
            ids = await enrolled(store, *names)
            odd = ("a", 'b"\\', "NULL", "{,}", "n\x00ul", "")
            said = {name: replace(facts(name, tags={"is": name}), modules=odd) for name in names}
            beats = [heartbeat(name, number, of=said[name]) for number in range(1, 9) for name in names]

            ways = (beats, beats[::-1], beats[1::2], beats[::2])
            seen = await asyncio.gather(*(store.agents.beat(one, later(60)) for one in ways))

            assert {agent for changed in seen for agent in changed} == set(ids)
            rows = [await store.agents.get(one) for one in ids]
            assert [row.statistics for row in rows] == [{"commands": 8}] * 3
            assert [row.tags for row in rows] == [{"is": name} for name in names]
            assert {row.modules for row in rows} == {("a", 'b"\\', "NULL", "{,}", "n\ufffdul", "")}
            assert await store.agents.beat([], later(90)) == []

        store_runner.run(scenario())

    def test_an_agent_that_takes_its_leave_is_offline_at_once(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Until its next heartbeat."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")

            await store.agents.beat([replace(heartbeat("web1", 7), leaving=True)], later(60))
            left = await store.agents.get(web1)
            await store.agents.beat([heartbeat("web1", 8)], later(90))

            assert (left.state, left.heartbeat_at) == (AgentState.OFFLINE, later(60))
            assert (await store.agents.get(web1)).state is AgentState.ONLINE

        store_runner.run(scenario())

    def test_silent_agents_become_idle_then_offline_then_online_again(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """With the numbers that changed."""

        async def scenario() -> None:
            web1, web2 = await enrolled(store, "web1", "web2")
            spans = {"idle_after": timedelta(seconds=100), "offline_after": timedelta(seconds=200)}
            await store.agents.beat([heartbeat("web2", 1)], later(90))

            assert await store.agents.age(now=later(99), **spans) == {AgentState.IDLE: 0, AgentState.OFFLINE: 0}
            assert await store.agents.age(now=later(150), **spans) == {AgentState.IDLE: 1, AgentState.OFFLINE: 0}
            assert (await store.agents.get(web1)).state is AgentState.IDLE
            assert await store.agents.age(now=later(250), **spans) == {AgentState.IDLE: 1, AgentState.OFFLINE: 1}
            assert (await store.agents.get(web1)).state is AgentState.OFFLINE
            assert (await store.agents.get(web2)).state is AgentState.IDLE
            await store.agents.beat([heartbeat("web1", 2)], later(260))
            assert (await store.agents.get(web1)).state is AgentState.ONLINE

        store_runner.run(scenario())

    def test_lists_come_in_pages_by_name_and_by_target(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Every agent once, whatever the page's length."""

        async def scenario() -> None:
            names = [f"web{number}" for number in range(7)]
            await enrolled(store, *names, "db1")
            await store.agents.enrol(enrolment("web-new"), approved=False, token_digest=b"", now=NOW)
            target = parse_target("name LIKE 'web%'")
            seen, cursor = [], ""
            while True:
                page, cursor = await store.agents.list(target=target, now=NOW, cursor=cursor, limit=3)
                seen += [one.name for one in page]
                if not cursor:
                    break
            waiting, _ = await store.agents.list(states=[AgentState.PENDING], now=NOW)
            everyone, _ = await store.agents.list(now=NOW)

            assert seen == sorted([*names, "web-new"])
            assert [one.name for one in waiting] == ["web-new"]
            assert len(everyone) == 9
            assert await store.agents.count(target, now=NOW) == 7
            with pytest.raises(InvalidDocument, match="cursor"):
                await store.agents.list(now=NOW, cursor="rubbish")

        store_runner.run(scenario())

    def test_approved_agents_wait_to_be_admitted_to_their_relay(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Again when they change the relay."""

        async def scenario() -> None:
            web1, web2 = await enrolled(store, "web1", "web2")
            (other,) = await enrolled(store, "queue1", relay="amqp")
            await store.agents.enrol(enrolment("new"), approved=False, token_digest=b"", now=NOW)

            waiting = await store.agents.not_admitted("https", limit=10)
            await store.agents.mark_admitted([web1, web2])
            after = await store.agents.not_admitted("https", limit=10)
            moved = enrolment("web1", sent=later(1), relay="amqp")
            await store.agents.enrol(moved, approved=False, token_digest=digest("t"), now=later(1))

            assert sorted(waiting) == sorted([web1, web2])
            assert after == []
            assert sorted(await store.agents.not_admitted("amqp", limit=10)) == sorted([web1, other])
            assert len(await store.agents.not_admitted("amqp", limit=1)) == 1

        store_runner.run(scenario())

    def test_a_retired_agents_place_is_removed_at_once_and_when_nobody_can_make_it_anew(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Of two who remove it at the same time none takes the second time away."""

        async def scenario() -> None:
            web1, _ = await enrolled(store, "web1", "web2", relay="amqp")
            agents = store.agents

            await agents.retire(web1, NOW)
            at_once = await agents.to_dismiss("amqp", limit=10, now=NOW)
            for _ in range(2):
                await agents.mark_dismissed(at_once, NOW)

            assert at_once == [web1]
            assert await agents.to_dismiss("https", limit=10, now=later(9999)) == []
            assert await agents.to_dismiss("amqp", limit=10, now=later(119)) == []
            assert await agents.to_dismiss("amqp", limit=10, now=later(120)) == [web1]
            await agents.dismiss_later([web1], later(700))
            assert await agents.to_dismiss("amqp", limit=10, now=later(699)) == []
            await agents.mark_dismissed([web1], later(700))
            assert await agents.to_dismiss("amqp", limit=10, now=later(9999)) == []

        store_runner.run(scenario())

    def test_who_waits_for_approval_is_forgotten_when_it_asks_no_more(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Nobody else is."""

        async def scenario() -> None:
            (approved,) = await enrolled(store, "web1")
            for name, seconds in (("stale", 0), ("asking", 100)):
                await store.agents.enrol(
                    enrolment(name, sent=later(seconds)), approved=False, token_digest=b"", now=later(seconds)
                )

            forgotten = await store.agents.forget_pending(before=later(50))

            rows, _ = await store.agents.list(now=NOW)
            assert forgotten == 1
            assert [row.name for row in rows] == ["asking", "web1"]
            assert await store.agents.forget_pending(before=later(50)) == 0
            assert (await store.agents.get(approved)).id == approved

        store_runner.run(scenario())
