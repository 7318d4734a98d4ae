"""The store's contract over PostgreSQL: once as the owner, once with the rights that mig-api and mig-scheduler have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_contract import StoreContract

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from mig_core.store.base import Store

BY_SCHEDULER = {
    "agents": {"public_keys", "beat", "age", "not_admitted", "mark_admitted", "forget_pending"},
    "actions": {"due", "fan_out", "settle", "expire", "forget", "abandon", "make_room"},
    "commands": {
        "claim_unsent",
        "mark_sent",
        "claim_unsent_cancels",
        "mark_cancels_sent",
        "record",
        "abandon",
        "awaited",
        "unanswered",
        "hand_over_again",
        "give_back",
        "withdraw",
        "no_longer_held",
    },
    "relay_queue": {"put_commands", "take_inbound", "remove_inbound", "dismiss", "drop_pieces"},
    "numbers": {"count", "relay_is", "fold", "keep_history"},
    "set_aside": {"put", "forget"},
    "announcements": {"claim", "done"},
}
"""What the scheduler does; the API does the rest."""


class SplitNoun:
    """One part of the store, each method by the program that calls it in life."""

    def __init__(self, noun: str, api: PostgresStore, scheduler: PostgresStore) -> None:
        self._names = BY_SCHEDULER.get(noun, set())
        self._api = getattr(api, noun)
        self._scheduler = getattr(scheduler, noun)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler if name in self._names else self._api, name)


class SplitStore:
    """Both programs' stores, as one."""

    def __init__(self, api: PostgresStore, scheduler: PostgresStore) -> None:
        for noun in (
            "investigators",
            "agents",
            "actions",
            "commands",
            "answer_rows",
            "relay_queue",
            "numbers",
            "platform_log",
            "announcements",
            "proposals",
            "set_aside",
            "wakeups",
            "enrolment_secrets",
        ):
            setattr(self, noun, SplitNoun(noun, api, scheduler))


class TestPostgresStore(StoreContract):
    """Every test of the contract."""


class TestPostgresStoreWithLeastPrivilege(StoreContract):
    """Every test of the contract, by logins that may do no more than their program needs."""

    @pytest.fixture
    def store(
        self, store_runner: asyncio.Runner, api_store_url: str, scheduler_store_url: str
    ) -> Iterator[Store | SplitStore]:
        api = PostgresStore(api_store_url, pool_size=4)
        scheduler = PostgresStore(scheduler_store_url, pool_size=4)
        store_runner.run(api.open())
        store_runner.run(scheduler.open())
        try:
            yield SplitStore(api, scheduler)
        finally:
            store_runner.run(scheduler.close())
            store_runner.run(api.close())
