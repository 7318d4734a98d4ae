"""Contract of :class:`mig_core.relay.base.RelayQueue` as the store provides it."""

from __future__ import annotations

import asyncio
import os
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from mig_core.domain.envelope import MAX_RESULT_BYTES
from mig_core.domain.messages import Exchange, Inbound, Kind, Outgoing, Piece
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

    def test_many_exchanges_are_one_transaction(self, store: Store, store_runner: asyncio.Runner) -> None:
        """What each hands in is there, what each may have is claimed, and nobody gets what is another's."""

        async def scenario() -> None:
            queue = store.relay_queue
            await queue.put_commands([Outgoing(one, b"first", later(60)) for one in (WEB1, WEB2)])
            (mine,) = await queue.claim(WEB1, "s", limit=9, lease=30, now=NOW)
            await queue.put_commands([Outgoing(WEB1, body, later(60)) for body in (b"second", b"third")])

            results = await queue.exchange(
                [
                    Exchange(WEB1, "s", 1, [(Kind.RESULT, b"a"), (Kind.HEARTBEAT, b"\x00b")], [mine.id, 1 << 62]),
                    Exchange(WEB2, "s", 0, [(Kind.RESULT, b"c")], [mine.id + 2]),
                    Exchange(WEB2, "t", 9),
                ],
                now=NOW,
            )

            assert [[one.body for one in claimed or ()] for claimed in results] == [[b"second"], [], [b"first"]]
            assert await queue.exchange([], now=NOW) == []
            (again,) = await queue.exchange([Exchange(WEB1, "s", 1, held=[mine.id + 2])], now=NOW)
            assert [one.body for one in again or ()] == [b"third"]
            left = await queue.claim(WEB1, "new", limit=9, lease=30, now=NOW)
            assert [one.body for one in left] == [b"second", b"third"]
            taken = await queue.take_inbound(limit=9, lease=30, now=NOW)
            assert [message for _, message in taken] == [
                Inbound(Kind.RESULT, WEB1, b"a"),
                Inbound(Kind.HEARTBEAT, WEB1, b"\x00b"),
                Inbound(Kind.RESULT, WEB2, b"c"),
            ]

        store_runner.run(scenario())

    def test_an_exchange_of_a_process_that_does_not_receive_still_hands_in(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Of two that take turns."""

        async def scenario() -> None:
            queue = store.relay_queue
            turns = [
                (await queue.exchange([Exchange(WEB1, session, 9)], now=later(number)))[0]
                for number, session in enumerate(["one", "two"] * 4)
            ]
            refused = next(place for place, claimed in enumerate(turns) if claimed is None)
            session = ("one", "two")[refused % 2]

            (result,) = await queue.exchange([Exchange(WEB1, session, 9, [(Kind.RESULT, b"x")])], now=later(9))

            assert result is None
            assert [one.body for _, one in await queue.take_inbound(limit=9, lease=30, now=NOW)] == [b"x"]

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

    def test_pieces_are_no_message_until_the_last_is_there(self, store: Store, store_runner: asyncio.Runner) -> None:
        """In any order, each perhaps twice; then it is as if it had been put whole."""

        async def scenario() -> None:
            queue = store.relay_queue
            message = os.urandom(5000)
            pieces = cut(message, "a" * 32, 600)[::-1]

            complete = [await queue.put_piece(WEB1, piece, NOW) for piece in (*pieces[:3], *pieces)]
            taken = await queue.take_inbound(limit=9, lease=30, now=NOW)

            assert complete == [False] * (len(pieces) + 2) + [True]
            assert [one for _, one in taken] == [Inbound(Kind.RESULT, WEB1, message)]
            assert (await queue.backlog()).by_agent.keys() == {WEB1}

        store_runner.run(scenario())

    def test_uploads_of_different_agents_and_names_do_not_mix(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Whoever sends the last piece of his own completes his own."""

        async def scenario() -> None:
            queue = store.relay_queue
            first, last = cut(b"x" * 100, "a" * 32, 10)[0], cut(b"x" * 100, "a" * 32, 10)[-1]
            assert first.count == 2

            assert not await queue.put_piece(WEB1, first, NOW)
            assert not await queue.put_piece(WEB2, last, NOW)
            assert not await queue.put_piece(WEB1, replace(last, upload="b" * 32), NOW)
            assert await queue.put_piece(WEB1, last, NOW)

        store_runner.run(scenario())

    def test_an_agents_unfinished_uploads_are_few_and_are_forgotten(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """The oldest makes room; nobody else's is touched."""

        async def scenario() -> None:
            queue = store.relay_queue
            for number in range(5):
                piece = Piece(f"{number}" * 32, 0, 2, b"x" * 1000)
                await queue.put_piece(WEB1, piece, later(number))
            await queue.put_piece(WEB2, Piece("0" * 32, 0, 2, b"x" * 1000), later(5))
            backlog = await queue.backlog()
            forgotten = await queue.drop_pieces(before=later(4))

            assert (backlog.total, dict(backlog.by_agent)) == (3000, {WEB1: 2000, WEB2: 1000})
            assert forgotten == 1
            assert (await queue.backlog()).total == 2000

        store_runner.run(scenario())

    def test_an_upload_that_is_no_stream_or_becomes_too_large_is_an_empty_message(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """However small a bomb is; the collector counts it as malformed."""

        async def scenario() -> None:
            queue = store.relay_queue
            bomb = zlib.compress(b"\0" * (MAX_RESULT_BYTES + 1), 9)
            for number, stream in enumerate((b"no stream", zlib.compress(b"cut short")[:-3], bomb)):
                assert await queue.put_piece(WEB1, Piece(f"{number}" * 32, 0, 1, stream), NOW)

            bodies = []
            for _ in range(3):
                ((_, message),) = await queue.take_inbound(limit=9, lease=30, now=NOW)
                bodies.append(message.body)

            assert bodies == [b"", b"", b""]

        store_runner.run(scenario())

    def test_a_batch_is_bounded_in_bytes_and_one_large_message_is_a_batch(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """A compressed one counts as what it may become."""

        async def scenario() -> None:
            queue = store.relay_queue
            for _ in range(12):
                await queue.put_inbound(WEB1, Kind.RESULT, b"x" * 900_000)
            await queue.put_piece(WEB1, Piece("a" * 32, 0, 1, zlib.compress(b"small after all")), NOW)
            await queue.put_inbound(WEB1, Kind.RESULT, b"last")

            sizes = []
            while taken := await queue.take_inbound(limit=200, lease=30, now=NOW):
                sizes.append(sum(len(message.body) for _, message in taken))

            assert max(sizes) <= 8 << 20
            assert sizes[-2:] == [len(b"small after all"), len(b"last")]
            assert sum(sizes) == 12 * 900_000 + len(b"small after all") + len(b"last")

        store_runner.run(scenario())


def cut(message: bytes, upload: str, size: int) -> list[Piece]:
    """A message's pieces, as an agent makes them."""
    stream = zlib.compress(message)
    bodies = [stream[start : start + size] for start in range(0, len(stream), size)]
    return [Piece(upload, number, len(bodies), body) for number, body in enumerate(bodies)]
