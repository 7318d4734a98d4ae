"""What the dashboard says of agents is what there is, though it looks at none of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from mig_core.testing.store_samples import NOW, enrolled, enrolment, facts, heartbeat, later, sample_agent_id

if TYPE_CHECKING:
    from mig_core.store.postgres import PostgresStore

_AGENTS = "SELECT status, count(*) FROM agents GROUP BY 1"
_VERSIONS = "SELECT version, count(*) FROM agents WHERE status = 'online' GROUP BY 1"


def counted(url: str) -> tuple[dict[str, int], dict[str, int]]:
    """Agents by state, and those online by version, each of them looked at."""
    with psycopg.connect(url) as connection:
        agents = {str(state): int(number) for state, number in connection.execute(_AGENTS)}
        versions = {str(version): int(number) for version, number in connection.execute(_VERSIONS)}
    return agents, versions


def test_the_dashboard_counts_agents_as_they_are_whatever_has_happened_to_them(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    names = [f"web{number}" for number in range(8)]

    async def agrees() -> None:
        dashboard = await store.numbers.dashboard(later(400))
        agents, versions = counted(store_url)
        assert (dict(dashboard["agents"]), dict(dashboard["versions"])) == (agents, versions)

    async def scenario() -> None:
        agents = store.agents
        await agrees()
        await enrolled(store, *names)
        await agents.enrol(enrolment("waits"), approved=False, token_digest=b"", now=NOW)
        await agents.enrol(enrolment("forgotten", sent=later(-99)), approved=False, token_digest=b"", now=NOW)
        await agrees()
        upgraded = replace(facts("web1"), version="2.0")
        full = replace(heartbeat("web2", 1), spool={"full": True, "lost": ["a"]})
        leaving = replace(heartbeat("web3", 1), leaving=True)
        renamed = heartbeat("web4", 1, of=replace(facts("web4"), name="web5"))
        await agents.beat([heartbeat("web1", 1, of=upgraded), full, leaving, renamed], later(300))
        await agrees()
        alarms = (await store.numbers.dashboard(later(400)))["alarms"]
        await store.numbers.fold()
        await agrees()
        await agents.retire(sample_agent_id("web6"), later(300))
        await agents.approve(sample_agent_id("waits"), later(300))
        await agents.forget_pending(before=later(-50))
        await agents.age(now=later(400), idle_after=timedelta(seconds=200), offline_after=timedelta(seconds=300))
        await agrees()
        await asyncio.gather(
            store.numbers.fold(), store.numbers.fold(), agents.beat([heartbeat("web7", 9)], later(400))
        )
        await agrees()

        assert alarms == {
            "agents_with_a_full_spool": 1,
            "agents_that_lost_answers": 1,
            "agents_under_a_name_that_is_not_theirs": 1,
        }

    store_runner.run(scenario())


def test_agents_that_were_changed_past_the_counting_are_counted_anew(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        await enrolled(store, "web1", "web2", "web3")
        with psycopg.connect(store_url) as owner:
            owner.execute("ALTER TABLE agents DISABLE TRIGGER USER")
            owner.execute("UPDATE agents SET status = 'offline' WHERE name = 'web1'")
            owner.execute("ALTER TABLE agents ENABLE TRIGGER USER")
        before = await store.numbers.dashboard(NOW)

        await store.numbers.keep_history(NOW)
        after = await store.numbers.dashboard(NOW)
        await store.numbers.keep_history(later(300))

        assert before["agents"] == {"online": 3}
        assert after["agents"] == {"online": 2, "offline": 1}
        assert await store.numbers.counters() == {"agents.recounted": 1}

    store_runner.run(scenario())
