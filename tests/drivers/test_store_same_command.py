"""Two programs reach for the same command at one moment: it is handed over once, and where its agent is."""

from __future__ import annotations

import asyncio

import psycopg

from mig_core.domain.command import ActionState, CommandState
from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_samples import (
    LEASE,
    NOW,
    SIGNER,
    enrolment,
    fanned_out,
    later,
)


def test_two_schedulers_in_two_processes_worth_of_stores_share_the_outbox(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        commands = await fanned_out(store, *(f"web{number:02}" for number in range(40)))
        async with PostgresStore(store_url, pool_size=2) as second:
            claims = await asyncio.gather(
                *(one.commands.claim_unsent(["https"], limit=9, lease=LEASE, now=NOW) for one in (store, second) * 3)
            )
        claimed = [one.id for claim in claims for one in claim]
        rest = await store.commands.claim_unsent(["https"], limit=99, lease=LEASE, now=NOW)

        assert len(claimed) == len(set(claimed))
        assert len(claimed) + len(rest) == len(commands)

    store_runner.run(scenario())


def test_a_command_that_is_marked_while_its_agent_moves_goes_to_the_relay_where_the_agent_is(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    """Marked as sent at the relay that it leaves, it would be handed over to nobody any more."""

    async def scenario() -> None:
        (command,) = await fanned_out(store, "web1")
        await store.commands.claim_unsent(["https"], limit=9, lease=LEASE, now=NOW)
        async with await psycopg.AsyncConnection.connect(store_url) as holding:
            await holding.execute("SELECT FROM commands FOR NO KEY UPDATE")
            marking = asyncio.create_task(store.commands.mark_sent([command.id], NOW, relay="https"))
            while not await _waits(store_url):
                await asyncio.sleep(0.01)
            moved = enrolment("web1", sent=later(1), relay="amqp")
            moving = asyncio.create_task(
                store.agents.enrol(moved, approved=False, token_digest=b"t" * 32, now=later(1))
            )
            while await _waits(store_url) < 2 and not moving.done():
                await asyncio.sleep(0.01)
        await asyncio.gather(marking, moving)

        claimed = await store.commands.claim_unsent(["https", "amqp"], limit=9, lease=LEASE, now=later(99))

        assert [(one.id, one.relay) for one in claimed] == [(command.id, "amqp")]

    store_runner.run(scenario())


def test_a_command_that_is_claimed_while_its_question_is_cancelled_is_followed_by_the_cancel(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    """Closed as one that was not sent, its agent would run it to the end."""

    async def scenario() -> None:
        claimed, queued = await fanned_out(store, "web1", "web2")
        async with await psycopg.AsyncConnection.connect(store_url) as claiming:
            await claiming.execute(
                "UPDATE unsent_commands SET leased_until = %s WHERE id = %s", (later(30), claimed.id)
            )
            cancelling = asyncio.create_task(store.actions.cancel(claimed.action, b"cancel", by=SIGNER, now=NOW))
            while not await _waits(store_url):
                await asyncio.sleep(0.01)
        row = await cancelling

        followed = await store.commands.claim_unsent_cancels(["https"], limit=9, lease=LEASE, now=NOW)

        assert (row.state, row.counts) == (ActionState.INFLIGHT, {CommandState.QUEUED: 1, CommandState.CANCELLED: 1})
        assert [one.agent for one in followed] == [claimed.agent]
        assert (await store.commands.get(queued.action, queued.agent)).reason == "cancelled before it was sent"

    store_runner.run(scenario())


async def _waits(url: str) -> int:
    """How many wait for a lock."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        found = await owner.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        row = await found.fetchone()
    assert row is not None
    return int(row[0])
