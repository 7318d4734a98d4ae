"""Broken surroundings of the database are named: a pooler that shares sessions, one that only reads, a refused login.

With a real PgBouncer and a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from mig_core.errors import ConfigurationError, StoreUnavailable
from mig_core.store.database import StoreLimits
from mig_core.store.postgres import PostgresStore
from mig_core.testing.eventually import eventually
from mig_core.testing.ports import free_port
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.testing.api_site import ApiSite
    from mig_core.testing.postgres import PostgresServer

AT_ONCE = StoreLimits(connect=0)


@contextlib.contextmanager
def pooler(folder: Path, url: str, *, mode: str, size: int, auth: str = "any") -> Iterator[str]:
    """PgBouncer in front of the server of ``url``; gives the database's URL through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        service_missing("pgbouncer is not installed")
    assert program is not None
    parts = urlsplit(url)
    place = parse_qs(parts.query)
    if "host" not in place:
        pytest.skip("the server is not reached through a socket")
    port = free_port()
    settings = folder / "pgbouncer.ini"
    logins = folder / "logins"
    logins.write_text('"someone" "right"\n', encoding="ascii")
    settings.write_text(
        f"""[databases]
* = host={place["host"][0]} port={place.get("port", ["5432"])[0]} user={parts.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {logins}
pool_mode = {mode}
default_pool_size = {size}
""",
        encoding="ascii",
    )
    # It refuses to be root; in a namespace of users it is somebody else who may do the same.
    become = ["unshare", "--user", "--map-user=1000"] if os.geteuid() == 0 else []
    running = subprocess.Popen([*become, program, "-q", str(settings)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"postgresql://someone:wrong@127.0.0.1:{port}{parts.path}"
    finally:
        running.kill()
        running.wait()


def _wait_for(port: int) -> None:
    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60):
            return True
        return False

    assert eventually(answers), "pgbouncer did not start"


async def opened(url: str, limits: StoreLimits = AT_ONCE) -> None:
    async with PostgresStore(url, pool_size=1, limits=limits):
        pass


@pytest.mark.parametrize(("mode", "size"), [("transaction", 5), ("transaction", 1), ("statement", 5)])
def test_a_pooler_that_shares_sessions_is_found_at_the_start(
    tmp_path: Path, store_url: str, mode: str, size: int
) -> None:
    with pooler(tmp_path, store_url, mode=mode, size=size) as url, pytest.raises(ConfigurationError) as refused:
        asyncio.run(opened(url))

    assert "transaction mode" in str(refused.value)
    assert "session mode" in refused.value.next_step


def test_a_pooler_in_session_mode_will_do(tmp_path: Path, store_url: str) -> None:
    with pooler(tmp_path, store_url, mode="session", size=10) as url:
        asyncio.run(opened(url))


def test_a_login_that_is_refused_is_said_at_once_in_the_databases_words(tmp_path: Path, store_url: str) -> None:
    with pooler(tmp_path, store_url, mode="session", size=10, auth="plain") as url:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"does not let this program in.*password authentication failed"):
            asyncio.run(opened(url))

    assert time.monotonic() - began < 20


def test_a_program_that_starts_keeps_trying_for_a_while(store_url: str) -> None:
    parts = urlsplit(store_url)
    url = store_url.replace(f"//{parts.netloc}", "//nobody_here@")

    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r'role "nobody_here" does not exist'):
        asyncio.run(opened(url, StoreLimits(connect=1.0)))

    assert time.monotonic() - began >= 1.0


@contextlib.contextmanager
def read_only(server: PostgresServer, database: str) -> Iterator[None]:
    """As after a failover: new sessions only read, and the old ones are gone."""
    server.run_sql(
        f'ALTER DATABASE "{database}" SET default_transaction_read_only = on;'
        f" SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
    )
    try:
        yield
    finally:
        server.run_sql(f'ALTER DATABASE "{database}" RESET default_transaction_read_only')


def test_a_database_that_only_reads_is_found_at_the_start(
    postgres_server: PostgresServer, store_database: str, api_store_url: str
) -> None:
    with read_only(postgres_server, store_database), pytest.raises(StoreUnavailable, match="read-only") as refused:
        asyncio.run(opened(api_store_url))

    assert "target_session_attrs" in refused.value.next_step


def test_a_database_that_turned_read_only_is_503_and_over_as_soon_as_it_writes_again(
    postgres_server: PostgresServer, store_database: str, api_site: ApiSite
) -> None:
    assert api_site.ask("GET", "/healthz").status == 200

    with read_only(postgres_server, store_database):
        health = api_site.ask("GET", "/healthz")
        written = api_site.ask("POST", "/api/v1/login/nonce")
    afterwards = api_site.ask("POST", "/api/v1/login/nonce")

    assert (health.status, health.json["status"]) == (503, "the database is read-only")
    assert written.status == 503
    # The connections that were made in between are given up at the first refusal, and nobody notices.
    assert afterwards.status == 201, afterwards.body
    assert eventually(lambda: api_site.ask("GET", "/healthz").status == 200)


def checked(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "scheduler.toml"
    config.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    program = "import sys; from mig_core.scheduler.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "--config", str(config), "--check", "--within", "120"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_scheduler_checks_database_and_broker_for_real(
    tmp_path: Path, scheduler_store_url: str, rabbitmq_server: PrivateRabbitMQ
) -> None:
    database = f'[database]\nurl = "{scheduler_store_url}"\n'
    wrong = rabbitmq_server.amqp_url("scheduler", "wrong")

    well = checked(tmp_path, f'{database}[amqp]\nurl = "{rabbitmq_server.scheduler_url}"\n')
    no_database = checked(tmp_path, '[database]\nurl = "postgresql://x@127.0.0.1:1/mig"\n')
    no_broker = checked(tmp_path, f'{database}[amqp]\nurl = "amqp://scheduler:x@127.0.0.1:1/mig"\n')
    refused = checked(tmp_path, f'{database}[amqp]\nurl = "{wrong}"\n')

    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "mig-scheduler: all is well"), well.stdout
    assert no_database.returncode == 1
    assert "mig-scheduler: database: the database does not let this program in" in no_database.stdout
    assert no_broker.returncode == 1
    assert "mig-scheduler: broker: RabbitMQ at 127.0.0.1:1" in no_broker.stdout
    assert refused.returncode == 1
    assert "login refused for scheduler" in refused.stdout
    assert "wrong" not in refused.stdout
