"""Contract of cancels: what they end at once, whom they follow, and who hands them over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.domain.command import ActionState, CommandState
from mig_core.store.rows import Recording
from mig_core.testing.store_samples import (
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


class CancelsContract:
    """From the cancel to the agents."""

    def test_a_cancel_stops_what_has_not_left_and_follows_what_has(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """The sent command stays open until its agent answers."""

        async def scenario() -> None:
            sent, queued = await fanned_out(store, "web1", "web2")
            await store.commands.mark_sent([sent.id], NOW)

            row = await store.actions.cancel(sent.action, b"cancel", by=SIGNER, now=later(1))

            assert row.state is ActionState.INFLIGHT
            assert row.counts == {CommandState.SENT: 1, CommandState.CANCELLED: 1}
            stopped = await store.commands.get(queued.action, queued.agent)
            assert (stopped.state, stopped.reason) == (CommandState.CANCELLED, "cancelled before it was sent")
            assert await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=later(99)) == []
            (cancel,) = await store.commands.claim_unsent_cancels(RELAYS, limit=10, lease=LEASE, now=later(1))
            assert (cancel.action, cancel.agent, cancel.relay) == (sent.action, sent.agent, "https")
            assert cancel.envelope == b"cancel"
            told = answer(sent, state=CommandState.CANCELLED, reason="cancelled while it ran")
            assert await store.commands.record([told], later(2)) == [Recording.RECORDED]
            assert await store.actions.settle(later(3)) == [sent.action]
            assert (await store.actions.get(sent.action)).state is ActionState.CANCELLED

        store_runner.run(scenario())

    def test_cancels_are_leased_like_commands(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Claimed by one, claimed again unless marked."""

        async def scenario() -> None:
            commands = await fanned_out(store, "web1", "web2")
            await store.commands.mark_sent([one.id for one in commands], NOW)
            await store.actions.cancel(commands[0].action, b"cancel", by=SIGNER, now=NOW)
            await store.actions.cancel(commands[0].action, b"cancel", by=SIGNER, now=NOW)

            claims = await asyncio.gather(
                *(store.commands.claim_unsent_cancels(RELAYS, limit=10, lease=LEASE, now=NOW) for _ in range(3))
            )
            await store.commands.mark_cancels_sent([(commands[0].action, commands[0].agent)])
            again = await store.commands.claim_unsent_cancels(RELAYS, limit=10, lease=LEASE, now=later(31))

            assert sorted(one.agent for claim in claims for one in claim) == sorted(one.agent for one in commands)
            assert [one.agent for one in again] == [commands[1].agent]

        store_runner.run(scenario())

    def test_a_cancel_also_follows_a_command_that_is_just_being_sent(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It may run already: it stays open, and its agent says how it ended."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1")
            await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=NOW)

            row = await store.actions.cancel(command.action, b"cancel", by=SIGNER, now=NOW)
            settled = await store.actions.settle(NOW)
            await store.commands.mark_sent([command.id], NOW)

            assert (row.state, row.counts, settled) == (ActionState.INFLIGHT, {CommandState.QUEUED: 1}, [])
            assert len(await store.commands.claim_unsent_cancels(RELAYS, limit=10, lease=LEASE, now=NOW)) == 1
            assert (await store.commands.get(command.action, command.agent)).state is CommandState.SENT
            assert await store.commands.record([answer(command)], NOW) == [Recording.RECORDED]
            assert await store.actions.settle(NOW) == [command.action]

        store_runner.run(scenario())

    def test_a_cancelled_command_that_its_scheduler_did_not_hand_over_is_withdrawn_or_goes_with_the_cancel(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """By that scheduler; if it has died, by whoever claims it. What is final stays as it is."""

        async def scenario() -> None:
            answered, held, left = await fanned_out(store, "web1", "web2", "web3")
            await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=NOW)
            await store.actions.cancel(held.action, b"cancel", by=SIGNER, now=NOW)
            await store.commands.record([answer(answered)], NOW)

            await store.commands.withdraw([answered.id, held.id], later(1), lease=NOW + LEASE)
            again = await store.commands.claim_unsent(RELAYS, limit=10, lease=LEASE, now=later(99))

            row = await store.commands.get(held.action, held.agent)
            assert (row.state, row.reason) == (CommandState.CANCELLED, "cancelled before it was sent")
            assert [one.id for one in again] == [left.id]
            counts = (await store.actions.get(held.action)).counts
            assert counts == {CommandState.SUCCESS: 1, CommandState.CANCELLED: 1, CommandState.QUEUED: 1}

        store_runner.run(scenario())

    def test_a_cancel_goes_with_a_command_that_the_relay_of_before_did_not_take(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """It had the cancel, and a scheduler that died the command: the next relay is given both."""

        async def scenario() -> None:
            (agent,) = await enrolled(store, "web1", relay="amqp")
            asked = action()
            await scheduled(store, asked)
            await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW)
            await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=NOW)
            await store.actions.cancel(asked.id, b"cancel", by=SIGNER, now=NOW)
            await store.commands.mark_cancels_sent([(asked.id, agent)])

            moved = enrolment("web1", sent=later(1), relay="https")
            await store.agents.enrol(moved, approved=False, token_digest=b"t" * 32, now=later(1))

            (cancel,) = await store.commands.claim_unsent_cancels(RELAYS, limit=9, lease=LEASE, now=later(99))
            (command,) = await store.commands.claim_unsent(RELAYS, limit=9, lease=LEASE, now=later(99))
            assert (cancel.relay, command.relay) == ("https", "https")

        store_runner.run(scenario())
