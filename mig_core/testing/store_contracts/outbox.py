"""Contract of :class:`mig_core.store.base.Commands` on the way out: leases, and what is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.command import COMMAND_HEAD, CommandMessage, CommandState, command_tail
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import CommandId
from mig_core.domain.messages import Exchange
from mig_core.store.rows import AtOnce, Claim, FannedOut, Recording
from mig_core.testing.store_samples import (
    ENVELOPE,
    LEASE,
    NOW,
    SIGNER,
    action,
    answer,
    enrolled,
    enrolment,
    fanned_out,
    later,
    scheduled,
)

if TYPE_CHECKING:
    from mig_core.store.base import Store

RELAYS = ["https", "amqp"]


class OutboxContract:
    """From the books to the relay."""

    def test_two_schedulers_never_claim_the_same_command(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Together they claim all."""

        async def scenario() -> None:
            commands = await fanned_out(store, *(f"web{number:02}" for number in range(30)))

            claims = await asyncio.gather(
                *(store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=NOW) for _ in range(4))
            )

            claimed = [one.id for claim in claims for one in claim]
            assert len(claimed) == len(set(claimed))
            rest = await store.commands.claim_unsent(RELAYS, limit=100, lease=LEASE, now=NOW)
            assert {*claimed, *(one.id for one in rest)} == {one.id for one in commands}
            assert all(len(claim) <= 10 for claim in claims)

        store_runner.run(scenario())

    def test_a_claim_carries_what_the_relay_needs(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Of the relays that were asked for, and comes again when the lease has run out."""

        async def scenario() -> None:
            (queue1,) = await enrolled(store, "queue1", relay="amqp")
            asked = action()
            commands = await fanned_out(store, "web1", asked=asked)

            (amqp,) = await store.commands.claim_unsent(["amqp"], limit=10, lease=LEASE, now=NOW)
            leased = await store.commands.claim_unsent(["amqp"], limit=10, lease=LEASE, now=later(29))
            again = await store.commands.claim_unsent(["amqp"], limit=10, lease=LEASE, now=later(31))

            assert (amqp.agent, amqp.relay, amqp.action) == (queue1, "amqp", asked.id)
            assert (amqp.envelope, amqp.expire_after) == (ENVELOPE, asked.expire_after)
            assert leased == []
            assert again == [amqp]
            (https,) = await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=NOW)
            assert https.id == commands[1].id

        store_runner.run(scenario())

    def test_sent_commands_are_not_claimed_again(self, store: Store, store_runner: asyncio.Runner) -> None:
        """And an answer that came before the mark stays."""

        async def scenario() -> None:
            one, two = await fanned_out(store, "web1", "web2")
            await store.commands.record([answer(two)], later(1))

            await store.commands.mark_sent([one.id, two.id], later(2))
            await store.commands.mark_sent([one.id], later(3))

            sent = await store.commands.get(one.action, one.agent)
            assert (sent.state, sent.sent_at) == (CommandState.SENT, later(2))
            assert (await store.commands.get(two.action, two.agent)).state is CommandState.SUCCESS
            assert await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=later(999)) == []

        store_runner.run(scenario())

    def test_a_scheduler_hands_over_itself_what_it_has_fanned_out(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Of its relays, and not more than it can; the rest is claimed as ever, and so is what it leaves behind."""

        async def scenario() -> None:
            queues = await enrolled(store, "queue1", "queue2", "queue3", relay="amqp")
            await enrolled(store, "web1")
            asked = action()
            await scheduled(store, asked)

            made = await store.actions.fan_out(
                asked.id, asked.parsed_target(), now=NOW, claim=Claim(["amqp"], 2, LEASE)
            )
            assert made is not None
            free = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(1))
            under_way = (await store.actions.get(asked.id)).counts
            left = await store.commands.claim_unsent(["amqp"], limit=9, lease=LEASE, now=later(31))

            assert made.count == 4
            own = {one.id: one for one in made.claimed}
            assert {one.agent for one in made.claimed} < set(queues)
            assert len(own) == 2
            assert len(free) == 2
            assert not {one.id for one in free} & set(own)
            assert under_way == {CommandState.QUEUED: 4}
            assert [one for one in left if one.id in own] == sorted(made.claimed, key=lambda one: one.id)
            rows, _ = await store.commands.list(asked.id)
            assert {(row.id, row.agent) for row in rows} >= {(one.id, one.agent) for one in made.claimed}
            assert {(one.envelope, one.expire_after) for one in made.claimed} == {(ENVELOPE, asked.expire_after)}

        store_runner.run(scenario())

    def test_an_answer_says_since_when_the_relay_had_the_command(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Where it is not marked yet; what was marked stays."""

        async def scenario() -> None:
            one, two, three = await fanned_out(store, "web1", "web2", "web3")
            await store.commands.mark_sent([two.id], later(1))

            answers = [answer(one), answer(two), answer(three)]
            await store.commands.record(answers, later(9), sent={one.id: later(2), two.id: later(3)})

            rows, _ = await store.commands.list(one.action)
            assert [row.sent_at for row in rows] == [later(2), later(1), later(9)]
            assert await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(99)) == []

        store_runner.run(scenario())

    def test_the_mark_of_a_relay_passes_over_whose_agent_has_left_it(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It stays queued, and is claimed for the relay on which the agent listens now."""

        async def scenario() -> None:
            stayed, left = await fanned_out(store, "web1", "web2")

            await store.commands.mark_sent([stayed.id], NOW, relay="https")
            await store.commands.mark_sent([left.id], NOW, relay="amqp")

            rows, _ = await store.commands.list(stayed.action)
            assert [row.state for row in rows] == [CommandState.SENT, CommandState.QUEUED]
            (free,) = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            assert (free.id, free.relay) == (left.id, "https")

        store_runner.run(scenario())

    def test_a_command_that_can_never_be_sent_ends_with_the_reason(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It is accounted for, and claimed no more; one that has ended stays as it is."""

        async def scenario() -> None:
            one, two = await fanned_out(store, "web1", "web2")
            await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.commands.record([answer(two)], NOW)

            await store.commands.abandon(one.id, "the envelope cannot be read", NOW, lease=NOW + LEASE)
            await store.commands.abandon(two.id, "too late", NOW, lease=NOW + LEASE)

            rows, _ = await store.commands.list(one.action)
            assert [(row.state, row.reason) for row in rows] == [
                (CommandState.EXPIRED, "the envelope cannot be read"),
                (CommandState.SUCCESS, ""),
            ]
            assert await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW) == []
            assert await store.actions.settle(NOW) == [one.action]

        store_runner.run(scenario())

    def test_who_has_lost_a_lease_ends_nothing_and_gives_nothing_back(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Another scheduler has claimed the command since, and may have handed it over."""

        async def scenario() -> None:
            lost, kept, sent = await fanned_out(store, "web1", "web2", "web3")
            claimed, before, after = [lost.id, kept.id, sent.id], NOW + LEASE, later(31) + LEASE
            await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(31))
            await store.commands.mark_sent([sent.id], later(32))

            await store.commands.abandon(lost.id, "refused", later(33), lease=before)
            await store.commands.withdraw(claimed, later(33), lease=before)
            await store.commands.give_back(claimed, later(33), lease=before)

            assert await store.commands.no_longer_held(claimed, before) == set(claimed)
            assert await store.commands.no_longer_held(claimed, after) == {sent.id}
            assert await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(34)) == []
            counts = (await store.actions.get(lost.action)).counts
            assert counts == {CommandState.QUEUED: 2, CommandState.SENT: 1}

        store_runner.run(scenario())

    def test_whether_an_answer_is_awaited_is_known_before_it_is_read(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """For each claim by itself."""

        async def scenario() -> None:
            one, two, three = await fanned_out(store, "web1", "web2", "web3")
            await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.commands.record([answer(two)], NOW)
            await store.commands.abandon(three.id, "", NOW, lease=NOW + LEASE)

            fates = await store.commands.awaited(
                [
                    (one.id, one.agent),
                    (one.id, two.agent),
                    (two.id, two.agent),
                    (three.id, three.agent),
                    (None, one.agent),
                    (CommandId("no uuid"), one.agent),
                ]
            )

            foreign = Recording.FOREIGN
            assert fates == [None, foreign, Recording.DUPLICATE, Recording.LATE, foreign, foreign]

        store_runner.run(scenario())

    def test_commands_of_the_stores_own_relay_are_sent_with_the_fan_out(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Their messages lie in its queue, as if they had been handed over; the others' are queued."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")
            await enrolled(store, "queue1", relay="amqp")
            asked, signed = action(), Envelope(envelopes.ACTION, b"{}", (Signature("A" * 40, b"s"),))
            await scheduled(store, asked)
            at_once = AtOnce("https", COMMAND_HEAD, command_tail(signed))
            made = await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW, at_once=at_once)

            assert made == FannedOut(2)

            (queued, sent), _ = await store.commands.list(asked.id)
            assert (queued.agent_name, queued.state, queued.sent_at) == ("queue1", CommandState.QUEUED, None)
            assert (sent.agent_name, sent.state, sent.sent_at) == ("web1", CommandState.SENT, NOW)
            row = await store.actions.get(asked.id)
            assert row.counts == {CommandState.QUEUED: 1, CommandState.SENT: 1}
            unsent = await store.commands.claim_unsent(["https", "amqp"], limit=9, lease=LEASE, now=NOW)
            assert [one.id for one in unsent] == [queued.id]
            message = CommandMessage(sent.id, web1, signed).to_bytes()
            for _ in range(2):  # the second time what they have in common is known
                (found,) = await store.relay_queue.exchange([Exchange(web1, "s", 9)], now=NOW)
                assert [one.body for one in found or ()] == [message]
            assert await store.relay_queue.claim(web1, "s", limit=9, lease=30, now=NOW) == found

        store_runner.run(scenario())

    def test_what_was_sent_with_the_fan_out_is_cancelled_and_expires_like_the_rest(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """A cancel follows it; after its window no message is left."""

        async def scenario() -> None:
            (web1,) = await enrolled(store, "web1")
            asked = action(ends=60)
            await scheduled(store, asked)
            at_once = AtOnce("https", COMMAND_HEAD, b"tail")
            await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW, at_once=at_once)

            await store.actions.cancel(asked.id, b"cancel", by=SIGNER, now=NOW)

            (cancel,) = await store.commands.claim_unsent_cancels(["https"], limit=9, lease=LEASE, now=NOW)
            assert (cancel.action, cancel.agent) == (asked.id, web1)
            await store.actions.expire(now=later(61), grace=timedelta(0))
            assert (await store.commands.get(asked.id, web1)).state is CommandState.EXPIRED
            assert await store.relay_queue.claim(web1, "s", limit=9, lease=30, now=NOW) == []

        store_runner.run(scenario())

    def test_what_waits_for_an_agent_goes_with_it_to_another_relay(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Cancels too. What was answered does not, nor anything when it only comes back."""

        async def scenario() -> None:
            names = {"queue1": ("amqp", "https"), "web1": ("https", "amqp")}
            ids = {name: (await enrolled(store, name, relay=before))[0] for name, (before, _) in names.items()}
            asked = [action(name) for name in ("open", "cancelled", "answered")]
            at_once = AtOnce("https", COMMAND_HEAD, b"tail")
            for one in asked:
                await scheduled(store, one)
                await store.actions.fan_out(one.id, one.parsed_target(), now=NOW, at_once=at_once)
            queued = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.commands.mark_sent([one.id for one in queued], NOW)
            await store.actions.cancel(asked[1].id, b"cancel", by=SIGNER, now=NOW)
            cancels = await store.commands.claim_unsent_cancels(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.commands.mark_cancels_sent([(one.action, one.agent) for one in cancels])
            done = [await store.commands.get(asked[2].id, agent) for agent in ids.values()]
            await store.commands.record([answer(one) for one in done], NOW)

            for name, (before, _) in names.items():
                back = enrolment(name, sent=later(1), relay=before)
                await store.agents.enrol(back, approved=False, token_digest=b"t" * 32, now=later(1))
            nothing = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(1))
            for name, (_, after) in names.items():
                moved = enrolment(name, sent=later(2), relay=after)
                await store.agents.enrol(moved, approved=False, token_digest=b"t" * 32, now=later(2))

            again = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(2))
            cancels = await store.commands.claim_unsent_cancels(RELAYS, limit=9, lease=LEASE, now=later(2))
            assert nothing == []
            assert sorted((one.agent, one.relay, one.action) for one in again) == sorted(
                (agent, names[name][1], one.id) for name, agent in ids.items() for one in asked[:2]
            )
            assert sorted((one.agent, one.relay) for one in cancels) == sorted(
                (agent, names[name][1]) for name, agent in ids.items()
            )
            left = await store.relay_queue.claim(ids["web1"], "s", limit=9, lease=30, now=later(2))
            assert left == [], "nothing is left at the relay that it has left"
            assert (await store.commands.get(asked[0].id, ids["queue1"])).state is CommandState.SENT

        store_runner.run(scenario())
