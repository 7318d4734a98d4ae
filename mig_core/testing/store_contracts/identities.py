"""Contract of :class:`mig_core.store.base.Agents` about who is who: names, sessions, ledgers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.agent import Heartbeat
from mig_core.domain.target import parse_target
from mig_core.testing.store_samples import (
    NOW,
    action,
    digest,
    enrolled,
    enrolment,
    facts,
    heartbeat,
    later,
    sample_agent_id,
    scheduled,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.ids import AgentId
    from mig_core.store.base import Store


def calling_itself(who: str, name: str) -> AgentFacts:
    """The facts of agent ``who`` under another name."""
    return replace(facts(who), name=name)


def process(who: str, number: int) -> AgentFacts:
    """The facts of agent ``who``, as its process of this number tells them."""
    return replace(facts(who), pid=number, started=NOW + timedelta(seconds=number))


async def shown(store: Store, *agents: AgentId) -> list[str]:
    """What these agents are shown as."""
    return [(await store.agents.get(agent)).shown_name for agent in agents]


class IdentitiesContract:
    """Nobody is taken for somebody else."""

    def test_a_name_is_held_by_the_first_that_was_admitted_with_it(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Everybody else is shown with the id; case makes no difference."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")
            for who, name in (("other", "web1"), ("third", "WEB1")):
                await store.agents.enrol(
                    enrolment(who, of=calling_itself(who, name)), approved=True, token_digest=digest(who), now=NOW
                )
            other, third = sample_agent_id("other"), sample_agent_id("third")

            assert await shown(store, web1, other, third) == ["web1", f"web1~{other}", f"WEB1~{third}"]
            rows, _ = await store.agents.list(target=parse_target("name = 'web1'"), now=NOW)
            assert {row.shown_name for row in rows} == {"web1", f"web1~{other}"}
            assert {row.name for row in rows} == {"web1"}
            await scheduled(store, action())
            await store.actions.fan_out(action().id, action().parsed_target(), now=NOW)
            commands, _ = await store.commands.list(action().id)
            assert len({one.agent_name for one in commands}) == 3

        store_runner.run(scenario())

    def test_who_waits_for_approval_holds_no_name(self, store: Store, store_runner: asyncio.Runner) -> None:
        """So a stranger cannot take one before its owner comes."""

        async def scenario() -> None:
            stranger = enrolment("stranger", of=calling_itself("stranger", "web1"))
            await store.agents.enrol(stranger, approved=False, token_digest=b"", now=NOW)
            (web1,) = await enrolled(store, "web1")
            waiting = sample_agent_id("stranger")
            before = await shown(store, waiting, web1)

            await store.agents.approve(waiting, NOW)

            assert before == await shown(store, waiting, web1) == [f"web1~{waiting}", "web1"]

        store_runner.run(scenario())

    def test_a_name_is_free_again_when_its_holder_is_retired_or_changes_it(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """The next heartbeat of one that calls itself so takes it; every change is an event."""

        async def scenario() -> None:
            web1, web2, db1 = await enrolled(store, "web1", "web2", "db1")
            await store.agents.beat([heartbeat("web2", 1, of=calling_itself("web2", "web1"))], later(1))
            assert await shown(store, web1, web2) == ["web1", f"web1~{web2}"]

            await store.agents.beat([heartbeat("web1", 1, of=calling_itself("web1", "mail"))], later(2))
            await store.agents.beat([heartbeat("web2", 2, of=calling_itself("web2", "web1"))], later(3))
            await store.agents.beat([heartbeat("db1", 1, of=calling_itself("db1", "mail"))], later(4))
            await store.agents.retire(web1, later(5))
            await store.agents.beat([heartbeat("db1", 2, of=calling_itself("db1", "mail"))], later(6))

            assert await shown(store, web1, web2, db1) == [f"mail~{web1}", "web1", "mail"]
            events = [(one.kind, one.detail) for one in await store.agents.events(web2)]
            assert events == [
                ("name_changed", f"web1~{web2} -> web1"),
                ("name_changed", f"web2 -> web1~{web2}"),
            ]
            assert (await store.numbers.counters())["agent.name_changed"] == 5
            assert (await store.numbers.dashboard(NOW))["alarms"].get("agents_under_a_name_that_is_not_theirs") is None

        store_runner.run(scenario())

    @pytest.mark.parametrize(
        "name",
        ["web1~abcdef", "w\u0435b1", "web1 ", " web1", "web\u202e1", "web  1", "a\tb", "", "x" * 256, "web1\x7f"],
    )
    def test_a_name_that_cannot_be_told_apart_at_a_glance_is_nobodys(
        self, name: str, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Two agents never look the same, whatever they call themselves."""

        async def scenario() -> None:
            await store.agents.enrol(
                enrolment("odd", of=calling_itself("odd", name)), approved=True, token_digest=digest("odd"), now=NOW
            )

            assert await shown(store, sample_agent_id("odd")) == [f"{name}~{sample_agent_id('odd')}"]

        store_runner.run(scenario())

    def test_two_processes_whose_heartbeats_take_turns_are_two_sessions(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """A process that was started again is none."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")
            for number in range(1, 6):
                await store.agents.beat([heartbeat("web1", number, of=process("web1", number))], later(number))
            assert (await store.agents.get(web1)).two_sessions_at is None

            for number in range(6, 12):
                await store.agents.beat([heartbeat("web1", number, of=process("web1", 4 + number % 2))], later(number))

            assert (await store.agents.get(web1)).two_sessions_at is not None
            assert [one.kind for one in await store.agents.events(web1)] == ["two_sessions"]
            alarms = (await store.numbers.dashboard(datetime.now(UTC)))["alarms"]
            assert alarms["agents_in_two_sessions"] == 1

        store_runner.run(scenario())

    def test_a_second_process_whose_clock_is_behind_is_seen_too(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Though its heartbeats change nothing; the last heartbeat of the process before does no harm."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")
            await store.agents.beat([heartbeat("web1", 100, of=process("web1", 1))], later(1))
            await store.agents.beat([heartbeat("web1", 101, of=process("web1", 2))], later(2))

            await store.agents.beat([heartbeat("web1", 99, of=process("web1", 1))], later(3))
            before = (await store.agents.get(web1)).two_sessions_at
            changed = await store.agents.beat([heartbeat("web1", 50, of=process("web1", 3))], later(4))

            assert (before, changed) == (None, [])
            assert (await store.agents.get(web1)).two_sessions_at == later(4)
            assert [one.kind for one in await store.agents.events(web1)] == ["two_sessions"]

        store_runner.run(scenario())

    @pytest.mark.parametrize("back", [0, 41, -(1 << 70)])
    def test_a_ledger_that_is_shorter_than_before_is_an_event(
        self, back: int, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """An older copy of the state directory is in use; no number an agent sends does harm."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")

            async def beat(sequence: int, statistics: Mapping[str, int]) -> None:
                await store.agents.beat([Heartbeat(facts("web1"), sequence, NOW, statistics)], later(sequence))

            for sequence, lines in enumerate((40, 41, 42, 42, 1 << 80), start=1):
                await beat(sequence, {"ledger_entries": lines})
            await beat(6, {})
            await beat(7, {"ledger_entries": 42})
            assert (await store.agents.get(web1)).ledger_back_at is None

            await beat(8, {"ledger_entries": back})

            assert (await store.agents.get(web1)).ledger_back_at is not None
            (event,) = await store.agents.events(web1)
            assert event.kind == "ledger_went_back" and f"had 42 lines and has {back}" in event.detail
            assert (await store.numbers.counters())["agent.ledger_went_back"] == 1

        store_runner.run(scenario())

    def test_only_the_newest_hundred_events_of_an_agent_are_kept(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """An agent that changes its name with every heartbeat fills nothing."""

        async def scenario() -> None:
            web1, web2 = await enrolled(store, "web1", "web2")
            await store.agents.beat([heartbeat("web2", 1, of=calling_itself("web2", "other"))], later(1))

            for number in range(130):
                await store.agents.beat([heartbeat("web1", number, of=calling_itself("web1", f"n{number}"))], NOW)

            events = await store.agents.events(web1)
            assert len(events) == 100 and events[0].detail == "n128 -> n129"
            assert len(await store.agents.events(web2)) == 1

        store_runner.run(scenario())
