"""pytest plugin: a real PostgreSQL for tests.

Name it in a conftest (``pytest_plugins = ["mig_core.testing.postgres"]``). Tests run against what the machine has, in a
temporary folder, in memory where there is room, without any safety against power loss; the header of the report says
which one it is. The environment variable ``MIG_TEST_PG`` (a libpq URL whose role may create databases) makes them use a
running server instead.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import pytest

from mig_core.errors import MigError
from mig_core.store.embedded.programs import find_postgres
from mig_core.store.embedded.server import EmbeddedPostgres, run_sql
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_VARIABLE = "MIG_TEST_PG"
COPY = "STRATEGY FILE_COPY"
"""How databases of single tests are made: without durability half as long as through the log, PostgreSQL's default."""

MEMORY = Path("/dev/shm")  # noqa: S108 - only folders with names of their own are made in it
ROOM = 4 << 30
"""Bytes that must be free in memory before a server lives there; in a whole run it takes about a quarter of that."""

_numbers = itertools.count(1)


class PostgresServer(Protocol):
    """What a test may ask of the server: :class:`~mig_core.store.embedded.server.EmbeddedPostgres` or a running one."""

    def url(self, role: str = "postgres", database: str = "mig") -> str:
        """libpq connection URL."""
        ...

    def run_sql(self, statements: str, *, database: str = "postgres") -> str:
        """Run statements as the most powerful role there is and return rows."""
        ...


class RunningPostgres:
    """A server that was there before the tests, given by URL."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def url(self, role: str = "postgres", database: str = "mig") -> str:
        """The URL with another database, and with another role (then without the password) if it is not the default."""
        server = self._url.netloc.rpartition("@")[2]
        place = self._url.netloc if role == "postgres" else f"{quote(role, safe='')}@{server}"
        return urlunsplit((self._url.scheme, place, f"/{quote(database, safe='')}", self._url.query, ""))

    def run_sql(self, statements: str, *, database: str = "postgres") -> str:
        """Run statements with the URL's own login."""
        return run_sql(find_postgres(), self.url(database=database), statements)


def pytest_report_header() -> str:
    """Which PostgreSQL the tests run on."""
    if os.environ.get(SERVER_VARIABLE):
        return f"database: the server in ${SERVER_VARIABLE}"
    try:
        return f"database: {find_postgres()}"
    except MigError as error:
        return f"database: none ({error})"


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for a server that need not survive anything: a disk takes several times as long for a new database.

    It is not below pytest's own: as root in a container the server runs as another account, which cannot enter that.
    """
    room = MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM
    with tempfile.TemporaryDirectory(prefix="mig-test-pg-", dir=MEMORY if room else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run. Databases come from ``empty_database_url``."""
    if given := os.environ.get(SERVER_VARIABLE):
        yield RunningPostgres(given)
        return
    try:
        find_postgres()
    except MigError as error:
        service_missing(str(error))
    with quick_folder() as folder, EmbeddedPostgres(folder, durable=False) as server:
        yield server


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a database of this test alone, with nothing in it; dropped afterwards, whoever is still connected."""
    name = f"mig_test_{os.getpid()}_{next(_numbers)}"
    postgres_server.run_sql(f'CREATE DATABASE "{name}" {COPY}', database="postgres")
    try:
        yield postgres_server.url(database=name)
    finally:
        postgres_server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")
