"""Contract of :class:`mig_core.store.base.Investigators`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.ids import Fingerprint
from mig_core.errors import Conflict, NotFound
from mig_core.store.rows import Permission
from mig_core.testing.store_samples import NOW, digest, investigator, later

if TYPE_CHECKING:
    from mig_core.store.base import Store


class InvestigatorsContract:
    """Who may log in."""

    def test_exactly_one_of_many_bootstraps_at_once_succeeds(self, store: Store, store_runner: asyncio.Runner) -> None:
        """And none after it."""

        async def scenario() -> None:
            before = await store.investigators.any()
            people = [investigator(f"person {number}") for number in range(4)]

            outcomes = await asyncio.gather(*map(store.investigators.bootstrap, people), return_exceptions=True)

            assert before is False
            assert await store.investigators.any() is True
            assert outcomes.count(None) == 1
            assert sum(isinstance(one, Conflict) for one in outcomes) == 3
            assert len(await store.investigators.list()) == 1

        store_runner.run(scenario())

    def test_investigators_are_added_once_and_come_back_as_they_were(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """By name."""

        async def scenario() -> None:
            bob, alice = investigator("Bob", Permission.READ), investigator("Alice")
            await store.investigators.add(bob)
            await store.investigators.add(alice)

            assert await store.investigators.list() == [alice, bob]
            assert await store.investigators.get(bob.fingerprint) == bob
            with pytest.raises(Conflict, match=bob.fingerprint):
                await store.investigators.add(bob)
            with pytest.raises(NotFound):
                await store.investigators.get(Fingerprint("F" * 40))

        store_runner.run(scenario())

    def test_the_last_active_person_in_charge_cannot_be_removed(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Neither by disabling nor by permissions, nor two at once each other."""

        async def scenario() -> None:
            alice, bob = investigator("Alice"), investigator("Bob")
            await store.investigators.add(alice)
            await store.investigators.add(bob)

            outcomes = await asyncio.gather(
                store.investigators.change(alice.fingerprint, active=False),
                store.investigators.change(bob.fingerprint, permissions=frozenset({Permission.READ})),
                return_exceptions=True,
            )

            assert sum(isinstance(one, Conflict) for one in outcomes) == 1
            everybody = await store.investigators.list()
            assert sum(one.active and Permission.INVESTIGATORS in one.permissions for one in everybody) == 1
            with pytest.raises(NotFound):
                await store.investigators.change(Fingerprint("F" * 40), active=True)

        store_runner.run(scenario())

    def test_disabling_ends_all_sessions_at_once(self, store: Store, store_runner: asyncio.Runner) -> None:
        """And nobody disabled may open one; enabling does not bring the old ones back."""

        async def scenario() -> None:
            alice, bob = investigator("Alice"), investigator("Bob")
            await store.investigators.add(alice)
            await store.investigators.add(bob)
            await store.investigators.open_session(digest("session"), bob.fingerprint, later(60))
            before = await store.investigators.session(digest("session"), NOW)

            await store.investigators.change(bob.fingerprint, active=False)

            assert before == bob
            assert await store.investigators.session(digest("session"), NOW) is None
            with pytest.raises(NotFound):
                await store.investigators.open_session(digest("other"), bob.fingerprint, later(60))
            await store.investigators.change(bob.fingerprint, active=True)
            assert await store.investigators.session(digest("session"), NOW) is None

        store_runner.run(scenario())

    def test_a_session_ends_by_time_and_by_logout(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Unknown tokens belong to nobody."""

        async def scenario() -> None:
            alice = investigator("Alice")
            await store.investigators.add(alice)
            await store.investigators.open_session(digest("short"), alice.fingerprint, later(10))
            await store.investigators.open_session(digest("long"), alice.fingerprint, later(1000))

            assert await store.investigators.session(digest("short"), later(9)) == alice
            assert await store.investigators.session(digest("short"), later(11)) is None
            assert await store.investigators.session(digest("unknown"), NOW) is None
            await store.investigators.close_session(digest("long"))
            assert await store.investigators.session(digest("long"), NOW) is None

        store_runner.run(scenario())

    def test_a_nonce_is_spent_once_and_only_while_it_is_fresh(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Also when several try at the same moment."""

        async def scenario() -> None:
            await store.investigators.put_nonce(digest("one"), later(60))
            await store.investigators.put_nonce(digest("old"), later(-1))

            outcomes = await asyncio.gather(*(store.investigators.spend_nonce(digest("one"), NOW) for _ in range(4)))

            assert sorted(outcomes) == [False, False, False, True]
            assert await store.investigators.spend_nonce(digest("old"), NOW) is False
            assert await store.investigators.spend_nonce(digest("never given"), NOW) is False

        store_runner.run(scenario())
