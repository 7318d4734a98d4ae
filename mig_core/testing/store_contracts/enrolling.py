"""Contract of :meth:`mig_core.store.base.Agents.enrol` when many agents enrol at the same moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState, Enrolment
from mig_core.errors import Conflict, Refused
from mig_core.store.acting import Acting, acting_for
from mig_core.store.rows import AgentRow, EnrolmentSecret, LogWish
from mig_core.testing.store_samples import NOW, SIGNER, digest, enrolled, enrolment, facts, later, sample_agent_id

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mig_core.store.base import Store

SECRET = digest("secret")


async def add_secret(store: Store, uses: int) -> None:
    """One that admits so many."""
    secret = EnrolmentSecret("berlin", NOW, SIGNER, None, uses, tags={"site": "berlin"})
    await store.enrolment_secrets.add(secret, SECRET)


def with_secret(store: Store, name: str, secret: bytes = SECRET) -> Coroutine[object, object, AgentRow]:
    """An agent enrols with a named secret."""
    return store.agents.enrol(
        enrolment(name, sent=later(1)),
        approved=False,
        token_digest=digest(f"token {name}"),
        now=NOW,
        secret_digest=secret,
    )


class EnrollingContract:
    """They share a transaction, and nobody gets what is another's."""

    def test_each_of_many_has_the_outcome_it_would_have_had_alone(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Whoever is refused keeps nobody else out."""

        async def scenario() -> None:
            known, retired, foreign = await enrolled(store, "known", "retired", "foreign")
            await store.agents.retire(retired, NOW)
            stolen = Enrolment(facts("foreign"), digest("another key"), "https", "", later(1))

            def settings(one: Enrolment) -> Coroutine[object, object, AgentRow]:
                return store.agents.enrol(
                    one, approved=True, token_digest=digest(f"new {one.facts.name}"), now=later(1)
                )

            outcomes = await asyncio.gather(
                settings(enrolment("new")),
                settings(enrolment("known", sent=later(1))),
                settings(enrolment("retired", sent=later(1))),
                settings(stolen),
                store.agents.enrol(enrolment("stranger"), approved=False, token_digest=b"", now=NOW),
                with_secret(store, "wrong", digest("no secret")),
                settings(enrolment("new", sent=later(2))),
                settings(enrolment("new", sent=later(1))),
                return_exceptions=True,
            )

            new, back, gone, other, stranger, wrong, again, replayed = outcomes
            assert isinstance(new, AgentRow) and isinstance(back, AgentRow) and isinstance(again, AgentRow)
            assert (new.state, new.enrolled_with, back.id) == (AgentState.ONLINE, "(settings)", known)
            assert again.id == new.id
            assert isinstance(gone, Conflict) and "retired" in str(gone)
            assert isinstance(other, Conflict) and "another key" in str(other)
            assert isinstance(replayed, Conflict) and "replay" in str(replayed)
            assert isinstance(stranger, AgentRow) and stranger.state is AgentState.PENDING
            assert isinstance(wrong, Refused)
            assert await store.agents.token_matches(known, digest("new known"))
            assert not await store.agents.token_matches(foreign, digest("new foreign"))
            rows, _ = await store.agents.list(now=NOW)
            assert [row.name for row in rows] == ["foreign", "known", "new", "retired", "stranger"]

        store_runner.run(scenario())

    def test_a_secret_admits_as_many_as_it_says_however_they_come(
        self, store: Store, store_runner: asyncio.Runner
    ) -> None:
        """Together, and one after the other."""

        async def scenario() -> None:
            await add_secret(store, uses=4)
            names = [f"web{number}" for number in range(7)]

            outcomes = await asyncio.gather(*(with_secret(store, one) for one in names), return_exceptions=True)
            late = await asyncio.gather(with_secret(store, "late"), return_exceptions=True)

            admitted = [one for one in outcomes if isinstance(one, AgentRow)]
            refused = [one for one in (*outcomes, *late) if isinstance(one, Refused)]
            assert (len(admitted), len(refused)) == (4, 4)
            assert {(one.enrolled_with, one.given_tags["site"]) for one in admitted} == {("berlin", "berlin")}
            assert all("used up" in str(one) for one in refused)
            (secret,) = await store.enrolment_secrets.list()
            assert (secret.used, secret.uses_left, secret.last_used_at) == (4, 0, NOW)

        store_runner.run(scenario())

    def test_the_log_says_of_each_where_it_came_from(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Though their transaction was one."""

        async def enrol(name: str, address: str) -> None:
            with acting_for(Acting(address)):
                await store.agents.enrol(enrolment(name), approved=True, token_digest=digest(name), now=NOW)

        async def scenario() -> None:
            addresses = {f"web{number}": f"192.0.2.{number}" for number in range(9)}

            await asyncio.gather(*(enrol(name, address) for name, address in addresses.items()))

            rows, _ = await store.platform_log.list(LogWish(what=("agent.admitted",)))
            assert {row.subject: row.address for row in rows} == {
                sample_agent_id(name): address for name, address in addresses.items()
            }

        store_runner.run(scenario())
