"""pytest plugin: databases with the schema in them, and stores on them.

Name it in a conftest together with its server: ``pytest_plugins = ["mig_core.testing.postgres",
"mig_core.testing.store_fixture"]``. The migrations run once; every test gets a copy of the result, which takes a few
hundredths of a second. A store belongs to the event loop it is opened in, so tests open it themselves::

    def test_something(store_url: str) -> None:
        async def scenario() -> None:
            async with PostgresStore(store_url, pool_size=2) as store:
                ...

        asyncio.run(scenario())
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from mig_core.store.migrate import upgrade
from mig_core.store.postgres import PostgresStore
from mig_core.store.roles import API, SCHEDULER, create_login
from mig_core.testing.postgres import COPY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.postgres import PostgresServer

API_LOGIN = "mig_test_api"
SCHEDULER_LOGIN = "mig_test_scheduler"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def store_template(postgres_server: PostgresServer) -> Iterator[str]:
    """Name of a database with the schema and nothing else in it. Nobody may stay connected to it."""
    name = f"mig_template_{os.getpid()}"
    postgres_server.run_sql(f'CREATE DATABASE "{name}"', database="postgres")
    try:
        owner_url = postgres_server.url(database=name)
        upgrade(owner_url)
        create_login(owner_url, API_LOGIN, None, group=API)
        create_login(owner_url, SCHEDULER_LOGIN, None, group=SCHEDULER)
        yield name
    finally:
        postgres_server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


@pytest.fixture
def store_database(postgres_server: PostgresServer, store_template: str) -> Iterator[str]:
    """Name of a database of this test alone, with the schema in it; dropped afterwards."""
    name = f"mig_store_{os.getpid()}_{next(_numbers)}"
    postgres_server.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{store_template}" {COPY}', database="postgres")
    try:
        yield name
    finally:
        postgres_server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


@pytest.fixture
def store_url(postgres_server: PostgresServer, store_database: str) -> str:
    """The owner's URL of ``store_database``: may do everything."""
    return postgres_server.url(database=store_database)


@pytest.fixture
def api_store_url(postgres_server: PostgresServer, store_database: str) -> str:
    """The URL of ``store_database`` that mig-api would have."""
    return postgres_server.url(role=API_LOGIN, database=store_database)


@pytest.fixture
def scheduler_store_url(postgres_server: PostgresServer, store_database: str) -> str:
    """The URL of ``store_database`` that mig-scheduler would have."""
    return postgres_server.url(role=SCHEDULER_LOGIN, database=store_database)


@pytest.fixture
def store_runner() -> Iterator[asyncio.Runner]:
    """An event loop for this test; ``store`` lives in it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def store(store_runner: asyncio.Runner, store_url: str) -> Iterator[PostgresStore]:
    """An open store with the owner's rights; use it with ``store_runner.run(...)``."""
    opened = PostgresStore(store_url, pool_size=4)
    store_runner.run(opened.open())
    try:
        yield opened
    finally:
        store_runner.run(opened.close())
