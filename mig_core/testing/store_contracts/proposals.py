"""Contract of :class:`mig_core.store.base.Proposals`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.ids import ActionId
from mig_core.errors import Conflict, InvalidDocument, NoRoom, NotFound
from mig_core.store.rows import ProposalState
from mig_core.testing.store_samples import NOW, OTHER_SIGNER, SIGNER, investigator, later

if TYPE_CHECKING:
    import asyncio

    from mig_core.store.base import Store

ACTION = ActionId("0197f9f0-0000-7000-8000-000000000001")


def number(counter: int) -> str:
    """A proposal's id."""
    return str(uuid.UUID(int=counter))


async def proposed(store: Store, count: int) -> list[str]:
    """So many proposals of one investigator, a second apart."""
    for name, fingerprint in (("proposer", SIGNER), ("decider", OTHER_SIGNER)):
        await store.investigators.add(investigator(name, fingerprint=fingerprint))
    return [
        (await store.proposals.add(number(one), SIGNER, b'{"name":"\\u0000"}', later(one))).id
        for one in range(1, count + 1)
    ]


class ProposalsContract:
    """The inbox."""

    def test_proposals_come_latest_first_in_pages(self, store: Store, store_runner: asyncio.Runner) -> None:
        """All of them once, those of a state alone when they are asked for."""

        async def scenario() -> None:
            identifiers = await proposed(store, 5)
            await store.proposals.decide(
                identifiers[1], ProposalState.REJECTED, OTHER_SIGNER, later(9), answer="no\x00"
            )

            first, cursor = await store.proposals.list(limit=3)
            rest, end = await store.proposals.list(limit=3, cursor=cursor)
            waiting, _ = await store.proposals.list(states=[ProposalState.OPEN])

            assert [one.id for one in (*first, *rest)] == identifiers[::-1]
            assert end == ""
            assert len(waiting) == 4
            with pytest.raises(InvalidDocument):
                await store.proposals.list(cursor="bad")

        store_runner.run(scenario())

    def test_a_proposal_is_decided_once(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Whoever comes second is told who was first, and how."""

        async def scenario() -> None:
            (identifier,) = await proposed(store, 1)

            after = await store.proposals.decide(
                identifier, ProposalState.SIGNED, OTHER_SIGNER, later(5), action=ACTION
            )
            with pytest.raises(Conflict, match=rf"signed already, by .*: action {ACTION}"):
                await store.proposals.decide(identifier, ProposalState.REJECTED, SIGNER, later(6))

            assert (after.state, after.action, after.decided_at) == (ProposalState.SIGNED, ACTION, later(5))
            assert (await store.proposals.get(identifier)) == after
            with pytest.raises(NotFound):
                await store.proposals.get(number(99))

        store_runner.run(scenario())

    def test_one_proposer_has_so_many_waiting_and_old_ones_are_forgotten(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Others may go on; what nobody decided about for a month makes room."""

        async def scenario() -> None:
            await proposed(store, 200)
            with pytest.raises(NoRoom):
                await store.proposals.add(number(500), SIGNER, b"{}", NOW)

            await store.proposals.add(number(501), OTHER_SIGNER, b"{}", NOW)
            await store.proposals.add(number(502), SIGNER, b"{}", NOW + timedelta(days=31))

            waiting, _ = await store.proposals.list(limit=1000)
            assert [one.id for one in waiting] == [number(502)]

        store_runner.run(scenario())
