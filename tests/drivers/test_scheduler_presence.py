"""Two schedulers over one database: what one had leased is free when it is dead, and not while it is only slow."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import psycopg

from mig_core.domain.command import ActionState
from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.domain.messages import Kind
from mig_core.scheduler.fanout import FanOut, Outbox
from mig_core.store.postgres import PostgresStore
from mig_core.testing.eventually import eventually
from mig_core.testing.store_samples import LEASE, NOW, SIGNER, action, enrolled, scheduled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from mig_core.domain.messages import Outgoing
    from mig_core.relay.base import PlatformRelay

SIGNED = Envelope(ACTION, b"{}", (Signature("A" * 40, b"x"),)).to_bytes()
LEASES_ONE_OF_EACH = """
import asyncio, sys
from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_samples import LEASE, NOW

async def run():
    async with PostgresStore(sys.argv[1], pool_size=2) as store:
        keeping = asyncio.create_task(store.presence.keep())
        await store.commands.claim_unsent(["https"], limit=1, lease=LEASE, now=NOW)
        await store.commands.claim_unsent_cancels(["https"], limit=1, lease=LEASE, now=NOW)
        await store.relay_queue.take_inbound(limit=1, lease=LEASE.total_seconds(), now=NOW)
        print("leased", flush=True)
        await keeping

asyncio.run(run())
"""


class Broker:
    """Takes everything."""

    name = "https"

    def __init__(self) -> None:
        self.handed_over: list[str] = []

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        self.handed_over += [one.agent for one in messages]
        return ()


@contextlib.contextmanager
def another_scheduler(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has leased a command, a cancel and a message, and does nothing more."""
    words = [sys.executable, "-c", LEASES_ONE_OF_EACH, url]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "leased\n"
        yield process
    finally:
        process.kill()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


@contextlib.asynccontextmanager
async def present(store: PostgresStore) -> AsyncIterator[None]:
    """While it is there."""
    keeping = asyncio.ensure_future(store.presence.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def schedulers_known(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM schedulers").fetchone()
    assert row is not None
    return int(row[0])


async def prepare(store: PostgresStore) -> None:
    """Two of everything: commands that are queued, cancels, and messages of agents."""
    first, second = await enrolled(store, "web1", "web2")
    sent = action("sent")
    await scheduled(store, sent)
    await store.actions.fan_out(sent.id, sent.parsed_target(), now=NOW)
    claimed = await store.commands.claim_unsent(["https"], limit=9, lease=LEASE, now=NOW)
    await store.commands.mark_sent([one.id for one in claimed], NOW)
    await store.actions.cancel(sent.id, b"cancel", by=SIGNER, now=NOW)
    queued = action("queued")
    await scheduled(store, queued)
    await store.actions.fan_out(queued.id, queued.parsed_target(), now=NOW)
    for agent in (first, second):
        await store.relay_queue.put_inbound(agent, Kind.RESULT, b"x")


async def free(store: PostgresStore) -> list[int]:
    """Leases what is free at the moment at which everything was leased; how many commands, cancels and messages."""
    commands, queue = store.commands, store.relay_queue
    return [
        len(await commands.claim_unsent(["https"], limit=9, lease=LEASE, now=NOW)),
        len(await commands.claim_unsent_cancels(["https"], limit=9, lease=LEASE, now=NOW)),
        len(await queue.take_inbound(limit=9, lease=LEASE.total_seconds(), now=NOW)),
    ]


async def until_free(store: PostgresStore, each: int) -> list[int]:
    """The same, until there were so many of each."""
    sums = [0, 0, 0]
    async with asyncio.timeout(60):
        while min(sums) < each:
            sums = [one + more for one, more in zip(sums, await free(store), strict=True)]
            await asyncio.sleep(0.02)
    return sums


def test_what_a_dead_scheduler_had_is_free_at_once_and_what_a_stopped_one_has_is_not(store_url: str) -> None:
    async def freed(each: int) -> tuple[list[int], list[int], int]:
        """By another scheduler: what it finds, what is free after that, and how many there are."""
        async with PostgresStore(store_url, pool_size=2) as store, present(store):
            return await until_free(store, each), await free(store), schedulers_known(store_url)

    async def beginning() -> None:
        async with PostgresStore(store_url, pool_size=2) as store:
            await prepare(store)

    asyncio.run(beginning())
    with another_scheduler(store_url) as killed, another_scheduler(store_url) as stopped:
        eventually(lambda: schedulers_known(store_url) == 2)
        stopped.send_signal(signal.SIGSTOP)

        killed.kill()
        first = asyncio.run(freed(1))
        stopped.kill()
        second = asyncio.run(freed(2))

    assert first == ([1, 1, 1], [0, 0, 0], 2)
    # With what the one before has left, which ended like any other: nothing is lost.
    assert second == ([2, 2, 2], [0, 0, 0], 1)


def test_a_scheduler_that_was_taken_for_dead_hands_nothing_over_that_another_one_has(store_url: str) -> None:
    async def scenario() -> None:
        async with PostgresStore(store_url, pool_size=2) as store, PostgresStore(store_url, pool_size=2) as other:
            await enrolled(store, "web1", "web2")
            asked, broker = action("asked"), Broker()
            relays = {"https": cast("PlatformRelay", broker)}
            outbox = Outbox(store, relays, lambda: NOW)
            await store.actions.create(asked, SIGNED, signers=[SIGNER], state=ActionState.SCHEDULED, now=NOW)
            async with present(store):
                await FanOut(store, lambda: NOW, outbox=outbox).run_due()
                await asyncio.to_thread(eventually, lambda: schedulers_known(store_url) == 1)
            async with present(other):  # while the first one's connection is broken
                others = Outbox(other, relays, lambda: NOW)
                async with asyncio.timeout(60):
                    while not broker.handed_over:
                        await others.run()
                        await asyncio.sleep(0.02)

                async with present(store):
                    await asyncio.to_thread(eventually, lambda: schedulers_known(store_url) == 2)
                    await outbox.run_own()

            assert len(broker.handed_over) == 2
            rows, _ = await store.commands.list(asked.id)
            assert {row.state.value for row in rows} == {"sent"}

    asyncio.run(scenario())
