"""Contract of :class:`mig_core.store.base.Actions`, but for their commands on the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.command import ActionState, CommandState
from mig_core.domain.ids import ActionId
from mig_core.errors import Conflict, InvalidDocument, NotFound
from mig_core.store.rows import FannedOut
from mig_core.testing.store_samples import (
    ENVELOPE,
    LEASE,
    NOW,
    OTHER_SIGNER,
    SIGNER,
    action,
    answer,
    enrolled,
    enrolment,
    fanned_out,
    later,
    module_result,
    scheduled,
)

if TYPE_CHECKING:
    from mig_core.store.base import Store

UNKNOWN = ActionId("00000000-0000-7000-8000-000000000000")


class ActionsContract:
    """Questions, and what became of them."""

    def test_an_action_is_created_once_and_comes_back_as_it_was(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """With nothing counted yet."""

        async def scenario() -> None:
            asked = action("who has it?", target="name LIKE 'web%'")

            row = await scheduled(store, asked)

            assert row == await store.actions.get(asked.id)
            assert (row.id, row.name, row.target) == (asked.id, asked.name, asked.target)
            assert (row.envelope, row.signers, row.created_by) == (ENVELOPE, (SIGNER,), SIGNER)
            assert (row.valid_from, row.expire_after) == (asked.valid_from, asked.expire_after)
            assert (row.state, row.targeted, row.counts) == (ActionState.SCHEDULED, 0, {})
            with pytest.raises(Conflict):
                await scheduled(store, asked)
            for unknown in (UNKNOWN, ActionId("no uuid")):
                with pytest.raises(NotFound):
                    await store.actions.get(unknown)

        store_runner.run(scenario())

    def test_of_two_signatures_made_on_the_same_envelope_one_wins(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """The other must look again; and a scheduled action takes none."""

        async def scenario() -> None:
            asked = action()
            await scheduled(store, asked, state=ActionState.PENDING)
            third = type(SIGNER)("C" * 40)

            outcomes = await asyncio.gather(
                store.actions.sign(asked.id, b"2", signers=[SIGNER, OTHER_SIGNER], state=ActionState.PENDING),
                store.actions.sign(asked.id, b"3", signers=[SIGNER, third], state=ActionState.PENDING),
                return_exceptions=True,
            )
            everybody = [SIGNER, OTHER_SIGNER, third]
            full = await store.actions.sign(asked.id, b"all", signers=everybody, state=ActionState.SCHEDULED)

            assert sum(isinstance(one, Conflict) for one in outcomes) == 1
            assert (full.state, full.envelope, full.signers) == (ActionState.SCHEDULED, b"all", tuple(everybody))
            assert full.created_by == SIGNER
            with pytest.raises(Conflict):
                await store.actions.sign(asked.id, b"4", signers=everybody, state=ActionState.SCHEDULED)
            with pytest.raises(NotFound):
                await store.actions.sign(UNKNOWN, b"4", signers=everybody, state=ActionState.SCHEDULED)

        store_runner.run(scenario())

    def test_lists_are_latest_first_and_can_be_narrowed(self, store: Store, store_runner: asyncio.Runner) -> None:
        """In pages that hold every action once."""

        async def scenario() -> None:
            for number in range(5):
                asked = action(f"Question {number}")
                state = ActionState.PENDING if number == 3 else ActionState.SCHEDULED
                await store.actions.create(asked, ENVELOPE, signers=[SIGNER], state=state, now=later(number))
            other = action("by somebody else")
            await store.actions.create(
                other, ENVELOPE, signers=[OTHER_SIGNER], state=ActionState.SCHEDULED, now=later(9)
            )
            seen, cursor = [], ""
            while True:
                page, cursor = await store.actions.list(name="QUESTION", cursor=cursor, limit=2)
                seen += [one.name for one in page]
                if not cursor:
                    break
            pending, _ = await store.actions.list(states=[ActionState.PENDING])
            others, _ = await store.actions.list(created_by=OTHER_SIGNER)

            assert seen == [f"Question {number}" for number in (4, 3, 2, 1, 0)]
            assert [one.name for one in pending] == ["Question 3"]
            assert [one.name for one in others] == ["by somebody else"]
            with pytest.raises(InvalidDocument, match="cursor"):
                await store.actions.list(cursor="WyJhIiwgImIiXQ")

        store_runner.run(scenario())

    def test_only_scheduled_actions_with_an_open_window_are_due(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Not the pending, the future, the past."""

        async def scenario() -> None:
            now_due = action("now")
            await scheduled(store, now_due)
            await scheduled(store, action("pending"), state=ActionState.PENDING)
            await scheduled(store, action("future", begins=10))
            await scheduled(store, action("past", begins=-20, ends=-10))

            assert await store.actions.due(now=NOW) == [now_due.id]

        store_runner.run(scenario())

    def test_fan_out_makes_one_command_for_each_approved_agent(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Exactly once, however many schedulers try."""

        async def scenario() -> None:
            await enrolled(store, "web1", "web2", "db1")
            await store.agents.enrol(enrolment("web-new"), approved=False, token_digest=b"", now=NOW)
            asked = action(target="name LIKE 'web%'")
            await scheduled(store, asked)

            outcomes = await asyncio.gather(
                *(store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW) for _ in range(4))
            )

            assert sorted(outcomes, key=str) == [FannedOut(2), None, None, None]
            row = await store.actions.get(asked.id)
            assert (row.state, row.targeted, row.counts) == (ActionState.INFLIGHT, 2, {CommandState.QUEUED: 2})
            commands, _ = await store.commands.list(asked.id)
            assert [one.agent_name for one in commands] == ["web1", "web2"]
            assert {one.state for one in commands} == {CommandState.QUEUED}
            assert await store.actions.due(now=NOW) == []
            assert await store.actions.fan_out(UNKNOWN, asked.parsed_target(), now=NOW) is None

        store_runner.run(scenario())

    def test_an_action_for_nobody_is_completed_with_the_reason(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """At once."""

        async def scenario() -> None:
            asked = action(target="name = 'nobody'")
            await scheduled(store, asked)

            made = await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW)

            row = await store.actions.get(asked.id)
            assert (made, row.state, row.targeted, row.counts) == (FannedOut(0), ActionState.COMPLETED, 0, {})
            assert row.reason == "no agent matches the target"
            assert row.finished_at == NOW

        store_runner.run(scenario())

    def test_a_cancel_before_the_fan_out_ends_the_action(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Harmless to repeat; nothing is fanned out after it."""

        async def scenario() -> None:
            await enrolled(store, "web1")
            asked = action()
            await scheduled(store, asked)

            first = await store.actions.cancel(asked.id, b"cancel", by=SIGNER, now=NOW)
            again = await store.actions.cancel(asked.id, b"cancel 2", by=OTHER_SIGNER, now=later(1))

            assert first.state is ActionState.CANCELLED
            assert again == first
            assert await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW) is None
            with pytest.raises(NotFound):
                await store.actions.cancel(UNKNOWN, b"cancel", by=SIGNER, now=NOW)

        store_runner.run(scenario())

    def test_an_action_ends_when_its_last_command_is_final(self, store: Store, store_runner: asyncio.Runner) -> None:
        """And then is not cancelled any more."""

        async def scenario() -> None:
            one, two = await fanned_out(store, "web1", "web2")
            partial = module_result(found=False, complete=False)
            await store.commands.record([answer(one, results=[module_result()])], NOW)
            early = await store.actions.settle(NOW)
            await store.commands.record([answer(two, results=[partial])], NOW)

            ended = await store.actions.settle(later(5))

            assert (early, ended) == ([], [one.action])
            assert await store.actions.settle(later(6)) == []
            row = await store.actions.get(one.action)
            assert (row.state, row.finished_at) == (ActionState.COMPLETED, later(5))
            assert (row.counts, row.found, row.partial) == ({CommandState.SUCCESS: 2}, 1, 1)
            with pytest.raises(Conflict, match="completed"):
                await store.actions.cancel(one.action, b"cancel", by=SIGNER, now=NOW)

        store_runner.run(scenario())

    def test_what_nobody_will_answer_expires_with_the_reason(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Commands after the grace time, actions that never got enough signatures at once.

        A relay may have what a scheduler had claimed when it died.
        """

        async def scenario() -> None:
            asked = await fanned_out(store, "web1", "web2", "web3", asked=action(ends=100))
            one, two = await store.commands.claim_unsent(["https"], limit=2, lease=LEASE, now=NOW)
            (three,) = [each for each in asked if each.id not in (one.id, two.id)]
            await store.commands.mark_sent([one.id], NOW)
            await store.agents.age(now=later(50), idle_after=timedelta(seconds=20), offline_after=timedelta(seconds=40))
            await scheduled(store, action("unsigned", ends=100), state=ActionState.PENDING)
            grace = timedelta(seconds=15)

            early = await store.actions.expire(now=later(101), grace=grace)
            late = await store.actions.expire(now=later(116), grace=grace)

            assert (early, late) == (1, 3)
            (unsigned,), _ = await store.actions.list(states=[ActionState.EXPIRED])
            assert unsigned.name == "unsigned"
            sent = await store.commands.get(one.action, one.agent)
            assert (sent.state, sent.finished_at) == (CommandState.EXPIRED, later(116))
            assert sent.reason == "never answered: agent offline since 2026-11-23T12:00:00Z"
            claimed = (await store.commands.get(two.action, two.agent)).reason
            assert claimed.startswith("never answered, and it is not known whether the relay has taken it: agent")
            assert "never handed" in (await store.commands.get(three.action, three.agent)).reason
            assert await store.actions.settle(later(117)) == [one.action]
            assert (await store.actions.get(one.action)).counts == {CommandState.EXPIRED: 3}

        store_runner.run(scenario())

    def test_old_ended_actions_are_forgotten_with_their_commands(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Open and younger ones stay."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1")
            await store.commands.record([answer(command)], NOW)
            await store.actions.settle(NOW)
            await scheduled(store, action("still open"))
            for number in range(25):
                asked = action(f"for nobody {number}", target="name = 'nobody'")
                await scheduled(store, asked)
                await store.actions.fan_out(asked.id, asked.parsed_target(), now=later(-5))

            assert await store.actions.forget(before=NOW) == 25
            assert await store.actions.forget(before=later(1)) == 1
            with pytest.raises(NotFound):
                await store.commands.get(command.action, command.agent)
            rest, _ = await store.actions.list()
            assert [one.name for one in rest] == ["still open"]

        store_runner.run(scenario())

    def test_an_action_that_cannot_be_fanned_out_ends_with_the_reason(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """So that it is not due for ever; one that is under way stays as it is."""

        async def scenario() -> None:
            (command,) = await fanned_out(store, "web1", asked=action("under way"))
            asked = action("never")
            await scheduled(store, asked)

            for one in (asked.id, command.action):
                await store.actions.abandon(one, "no target", now=NOW)

            ended, under_way = await store.actions.get(asked.id), await store.actions.get(command.action)
            assert (ended.state, ended.reason) == (ActionState.COMPLETED, "no target")
            assert under_way.state is ActionState.INFLIGHT
            assert await store.actions.due(now=NOW) == []

        store_runner.run(scenario())
