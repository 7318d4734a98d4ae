"""Contract of :class:`mig_core.store.base.PlatformLog`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_core.domain.command import ActionState
from mig_core.domain.reading.reading import Choice, RowsWish
from mig_core.errors import Conflict, InvalidDocument, NotFound
from mig_core.store.acting import Acting, acting_for
from mig_core.store.rows import LogWish, Permission
from mig_core.testing.store_samples import NOW, OTHER_SIGNER, SIGNER, action, enrolment, investigator, later

if TYPE_CHECKING:
    import asyncio

    from mig_core.store.base import Store
    from mig_core.store.rows import LogRow

ANN = Acting("192.0.2.7", SIGNER)


async def entries(store: Store, **wish: object) -> list[LogRow]:
    """What the log says, earliest first."""
    rows, _ = await store.platform_log.list(LogWish(**wish))  # type: ignore[arg-type]  # a test's own words
    return list(rows)[::-1]


class PlatformLogContract:
    """What is done stands in the log, under who did it and from where."""

    def test_every_change_by_a_person_is_in_the_log(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Without a word of whoever changes it."""

        async def scenario() -> None:
            with acting_for(ANN):
                await store.investigators.bootstrap(investigator("Ann", fingerprint=SIGNER))
                await store.investigators.add(investigator("Bob", fingerprint=OTHER_SIGNER))
                await store.investigators.change(OTHER_SIGNER, permissions=frozenset({Permission.READ}))
                await store.investigators.open_session(b"d", SIGNER, later(10**9))
                await store.investigators.close_session(b"d")
                asked = action()
                await store.actions.create(asked, b"{}", signers=[SIGNER], state=ActionState.PENDING, now=NOW)
                await store.actions.sign(asked.id, b"{}", signers=[SIGNER, OTHER_SIGNER], state=ActionState.SCHEDULED)
                await store.actions.cancel(asked.id, b"{}", by=OTHER_SIGNER, now=NOW)
            one = enrolment("web1")
            await store.agents.enrol(one, approved=False, token_digest=b"t", now=NOW)
            with acting_for(ANN):
                await store.agents.approve(one.facts.id, NOW)
                await store.agents.approve(one.facts.id, NOW)
                await store.agents.retire(one.facts.id, NOW)
                await store.agents.retire(one.facts.id, NOW)

            rows = await entries(store)
            assert [(row.what, row.who_name) for row in rows] == [
                ("investigator.added", "Ann"),
                ("investigator.added", "Ann"),
                ("investigator.changed", "Ann"),
                ("login", "Ann"),
                ("logout", "Ann"),
                ("action.asked", "Ann"),
                ("action.approved", "Ann"),
                ("action.cancelled", "Bob"),
                ("agent.admitted", "Ann"),
                ("agent.retired", "Ann"),
            ]
            assert {row.address for row in rows} == {"192.0.2.7"}
            assert rows[2].subject_name == "Bob"
            assert rows[2].detail["permissions"] == ["read"]
            assert "read" in rows[2].detail["permissionsbefore"]  # type: ignore[operator]  # a list, as it was written
            assert rows[5].subject == asked.id
            assert rows[5].detail["target"] == asked.target

        store_runner.run(scenario())

    def test_what_was_rolled_back_is_not_in_the_log(self, store: Store, store_runner: asyncio.Runner) -> None:
        """The entry is written in the transaction of the change."""

        async def scenario() -> None:
            await store.investigators.bootstrap(investigator("Ann", fingerprint=SIGNER))
            with pytest.raises(Conflict):  # nobody would be left in charge
                await store.investigators.change(SIGNER, active=False)

            assert [row.what for row in await entries(store)] == ["investigator.added"]

        store_runner.run(scenario())

    def test_what_is_nobodys_request_says_which_login_did_it(self, store: Store, store_runner: asyncio.Runner) -> None:
        """Nobody is named who did not do it, and a request's name does not stick to what comes after it."""

        async def scenario() -> None:
            with acting_for(ANN):
                await store.platform_log.note("login.failed", subject="F" * 40, detail={"reason": "no\x00"})
            await store.investigators.bootstrap(investigator("Ann", fingerprint=SIGNER))

            failed, added = await entries(store)
            assert (failed.address, failed.subject, failed.detail) == ("192.0.2.7", "F" * 40, {"reason": "no\ufffd"})
            assert (added.who, added.address) == ("", "")
            assert added.login

        store_runner.run(scenario())

    def test_a_request_that_is_noted_reads_the_books_too(self, store: Store, store_runner: asyncio.Runner) -> None:
        """What only reads is in a transaction of its own kind."""

        async def scenario() -> None:
            with acting_for(ANN):
                rows, _ = await store.actions.list()
                with pytest.raises(NotFound):
                    await store.answer_rows.rows(action().id, RowsWish(Choice(())), now=NOW)

            assert rows == []

        store_runner.run(scenario())

    def test_the_log_can_be_asked_in_pages(self, store: Store, store_runner: asyncio.Runner) -> None:
        """By word, person, subject, place and time; each entry comes once."""

        async def scenario() -> None:
            await store.investigators.bootstrap(investigator("Ann", fingerprint=SIGNER))
            for number in range(5):
                with acting_for(Acting(f"192.0.2.{number}", SIGNER if number % 2 else "")):
                    await store.platform_log.note("test.even" if number % 2 == 0 else "test.odd", subject=str(number))
            all_of_them = await entries(store)

            pages: list[str] = []
            cursor = ""
            while True:
                rows, cursor = await store.platform_log.list(LogWish(what=("test",)), cursor=cursor, limit=2)
                pages += [row.subject for row in rows]
                if not cursor:
                    break

            assert pages == ["4", "3", "2", "1", "0"]
            assert [row.subject for row in await entries(store, what=("test.odd",))] == ["1", "3"]
            assert [row.subject for row in await entries(store, who="Ann", what=("test",))] == ["1", "3"]
            assert [row.subject for row in await entries(store, who=SIGNER, what=("test",))] == ["1", "3"]
            assert [row.what for row in await entries(store, address="192.0.2.4")] == ["test.even"]
            assert [row.what for row in await entries(store, subject="Ann")] == ["investigator.added"]
            assert await entries(store, since=all_of_them[3].at) == all_of_them[3:]
            assert await entries(store, until=all_of_them[3].at) == all_of_them[:3]
            with pytest.raises(InvalidDocument):
                await store.platform_log.list(LogWish(), cursor="bad")

        store_runner.run(scenario())
