"""Contract of :class:`mig_core.relay.base.RelayQueue` as the store provides it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.domain.messages import Inbound, Kind, Outgoing
from mig_core.testing.store_samples import NOW, later, sample_agent_id

if TYPE_CHECKING:
    from mig_core.store.base import Store

WEB1, WEB2 = sample_agent_id("web1"), sample_agent_id("web2")


class RelayQueueContract:
    """The queue behind the https relay."""

    def test_messages_come_in_order_and_are_gone_when_acknowledged(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """By their own agent only."""

        async def scenario() -> None:
            queue = store.relay_queue
            bodies = [b"one", b"two\x00\xff", b"three"]
            await queue.put_commands([Outgoing(WEB1, body, later(60)) for body in bodies])
            await queue.put_commands([Outgoing(WEB2, b"other", later(60))])
            await queue.put_commands([])

            first = await queue.claim(WEB1, "s", limit=2, lease=30, now=NOW)
            rest = await queue.claim(WEB1, "s", limit=2, lease=30, now=NOW)
            await queue.acknowledge(WEB2, [one.id for one in first])
            await queue.acknowledge(WEB1, [rest[0].id, -1, 1 << 70])
            again = await queue.claim(WEB1, "s", limit=10, lease=30, now=later(31))

            assert [one.body for one in (*first, *rest)] == bodies
            assert again == first
            assert [one.body for one in await queue.claim(WEB2, "s", limit=9, lease=30, now=NOW)] == [b"other"]

        store_runner.run(scenario())

    def test_a_newer_session_takes_over_what_a_dead_poll_had(self, store: Store, store_runner: asyncio.Runner) -> None:
        """At once, without waiting for the lease; the same session waits."""

        async def scenario() -> None:
            queue = store.relay_queue
            await queue.put_commands([Outgoing(WEB1, b"one", later(60))])
            dead = await queue.claim(WEB1, "old", limit=9, lease=30, now=NOW)

            assert await queue.claim(WEB1, "old", limit=9, lease=30, now=later(1)) == []
            assert await queue.claim(WEB1, "new", limit=9, lease=30, now=later(1)) == dead
            assert await queue.claim(WEB1, "new", limit=9, lease=30, now=later(2)) == []

        store_runner.run(scenario())

    def test_expired_messages_are_not_delivered(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Nor are those of a dismissed agent."""

        async def scenario() -> None:
            queue = store.relay_queue
            await queue.put_commands([Outgoing(WEB1, b"short", later(5)), Outgoing(WEB1, b"long", later(60))])
            await queue.put_commands([Outgoing(WEB2, b"x", later(60))])

            (one,) = await queue.claim(WEB1, "s", limit=9, lease=1, now=later(6))
            await queue.dismiss([WEB2])

            assert one.body == b"long"
            assert await queue.claim(WEB2, "s", limit=9, lease=1, now=NOW) == []

        store_runner.run(scenario())

    def test_inbound_messages_go_to_one_scheduler_until_removed(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Oldest first; again when the lease has run out."""

        async def scenario() -> None:
            queue = store.relay_queue
            for number in range(6):
                await queue.put_inbound(WEB1, Kind.HEARTBEAT if number else Kind.RESULT, b"%d" % number)

            takes = await asyncio.gather(*(queue.take_inbound(limit=3, lease=30, now=NOW) for _ in range(3)))
            taken = sorted(one for take in takes for one in take)
            await queue.remove_inbound([identifier for identifier, _ in taken[:5]])
            again = await queue.take_inbound(limit=9, lease=30, now=later(31))

            assert [message.body for _, message in taken] == [b"%d" % number for number in range(6)]
            assert taken[0][1] == Inbound(Kind.RESULT, WEB1, b"0")
            assert again == taken[5:]
            assert all(take == sorted(take) for take in takes)

        store_runner.run(scenario())
