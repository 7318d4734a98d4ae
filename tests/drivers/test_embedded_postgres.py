"""The embedded PostgreSQL is started for real: afresh, again, after crashes, beside another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mig_core
from mig_core.errors import Conflict, MigError, StoreError, StoreUnavailable
from mig_core.store.embedded.programs import find_postgres
from mig_core.store.embedded.server import EmbeddedPostgres
from mig_core.testing.ordinary_user import let_everybody_pass
from mig_core.testing.postgres import quick_folder
from mig_core.testing.running import alive
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        find_postgres()
    except MigError as error:
        service_missing(str(error))


@pytest.fixture(autouse=True)
def folders_that_everybody_may_pass(tmp_path: Path) -> None:
    # As root in a container without user namespaces the server runs as another account.
    if os.geteuid() == 0:
        let_everybody_pass(tmp_path)


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with quick_folder() as folder:
        let_everybody_pass(folder)
        made = EmbeddedPostgres(folder / "pg", durable=False)
        yield made
        made.stop()


def wait_for_end(pid: int, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# -- starting and stopping


def test_a_first_start_makes_the_database_mig_and_answers_queries(server: EmbeddedPostgres) -> None:
    server.start()

    assert server.run_sql("SELECT current_database(), current_user, 1 + 1") == "mig|postgres|2"
    assert server.pid is not None


def test_the_cluster_is_utf8_sorts_by_code_point_and_folds_foreign_letters(server: EmbeddedPostgres) -> None:
    server.start()

    assert server.run_sql("SHOW server_encoding") == "UTF8"
    assert server.run_sql("SELECT 'Z' < 'a', 'Ä' ILIKE 'ä'") == "t|t"


def test_the_server_has_no_network_listener_and_a_private_socket(server: EmbeddedPostgres) -> None:
    server.start()

    assert server.run_sql("SHOW listen_addresses") == ""
    assert server.run_sql("SHOW max_connections") == "200"
    for path in (server.state_dir, server.state_dir / "run", server.state_dir / "data"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (server.state_dir / "run" / ".s.PGSQL.5432").is_socket()


def test_a_durable_server_syncs_to_disk_and_a_test_server_does_not(tmp_path: Path) -> None:
    shown = (
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"
    )

    with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        fast = server.run_sql(shown)
    with EmbeddedPostgres(tmp_path / "pg") as server:
        safe = server.run_sql(shown)

    assert (fast, safe) == ("off|off|off", "on|on|on")


def test_a_second_start_reuses_the_data(server: EmbeddedPostgres) -> None:
    server.start()
    server.run_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
    server.stop()

    server.start()

    assert server.run_sql("SELECT n FROM kept") == "42"


def test_stop_ends_the_process_and_may_be_called_again(server: EmbeddedPostgres) -> None:
    server.start()
    pid = server.pid
    assert pid is not None

    server.stop()
    server.stop()

    assert not alive(pid)
    assert server.pid is None


def test_a_thread_that_lives_may_start_it(server: EmbeddedPostgres) -> None:
    seen: list[str] = []

    def run() -> None:
        server.start()
        seen.append(server.run_sql("SELECT 1"))
        server.stop()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert seen == ["1"]


def test_two_servers_run_at_once(server: EmbeddedPostgres) -> None:
    server.start()

    with EmbeddedPostgres(server.state_dir.with_name("second"), durable=False) as second:
        server.run_sql("CREATE TABLE only_here (n int)")

        assert server.pid != second.pid
        assert second.run_sql("SELECT to_regclass('only_here') IS NULL") == "t"


def test_a_role_logs_in_over_the_socket_without_a_password(server: EmbeddedPostgres) -> None:
    server.start()
    server.run_sql('CREATE ROLE "mig api" LOGIN')

    shown = subprocess.run(
        [server.source.program("psql"), "-XAtq", "-d", server.url(role="mig api"), "-c", "SELECT current_user"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout.strip() == "mig api"


def test_sql_that_the_server_refuses_is_an_error_that_says_why(server: EmbeddedPostgres) -> None:
    server.start()

    with pytest.raises(StoreError, match='relation "nowhere" does not exist'):
        server.run_sql("SELECT * FROM nowhere")


# -- places


def test_a_state_directory_too_long_for_a_socket_gets_a_short_one_elsewhere(tmp_path: Path) -> None:
    state_dir = tmp_path / ("x" * 100)

    with EmbeddedPostgres(state_dir, durable=False) as server:
        folder = Path((state_dir / "socket-directory").read_text())
        seen_by_another = EmbeddedPostgres(state_dir).url()

        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / ".s.PGSQL.5432").is_socket()
        assert seen_by_another == server.url()
        assert server.run_sql("SELECT 1") == "1"

    assert not folder.exists()
    with pytest.raises(StoreUnavailable, match="does not run"):
        server.url()


def test_a_path_with_spaces_quotes_and_commas_works(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / 'a "b", c', durable=False) as server:
        assert server.run_sql("SELECT 1") == "1"


# -- crashes


def test_after_a_kill_the_stale_pid_file_is_no_obstacle_and_nothing_committed_is_lost(server: EmbeddedPostgres) -> None:
    server.durable = True
    server.start()
    server.run_sql("CREATE TABLE kept (n int)")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_for_end(pid)
    assert (server.state_dir / "data" / "postmaster.pid").exists()

    server.start()

    assert server.run_sql("SELECT count(*) FROM kept") == "0"


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.start()
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert wait_for_end(killed)
    pid_file = server.state_dir / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(killed), str(os.getppid()), 1))

    server.start()

    assert server.run_sql("SELECT 1") == "1"


def test_a_server_somebody_else_runs_on_the_data_is_left_alone(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    data = server.state_dir / "data"
    # A process whose working directory is the cluster is what a running PostgreSQL looks like.
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], cwd=data, stdin=subprocess.PIPE)
    (data / "postmaster.pid").write_text(f"{stranger.pid}\n")

    try:
        with pytest.raises(Conflict, match=f"pid {stranger.pid}"):
            server.start()
    finally:
        stranger.communicate()

    assert (data / "postmaster.pid").exists()


def test_a_second_server_on_the_same_state_directory_is_refused(server: EmbeddedPostgres) -> None:
    server.start()

    with pytest.raises(Conflict, match=f"in use by another PostgreSQL .pid {server.pid}"):
        EmbeddedPostgres(server.state_dir, lock_wait=0.1).start()

    assert server.run_sql("SELECT 1") == "1"


def test_an_interrupted_first_start_is_begun_again(server: EmbeddedPostgres) -> None:
    half = server.state_dir / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")

    server.start()

    assert server.run_sql("SELECT 1") == "1"
    assert not half.exists()


def test_the_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(tmp_path / "pg")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(mig_core.__file__).parents[1])},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())

    parent.kill()
    parent.communicate()

    assert wait_for_end(pid)
    assert not (tmp_path / "pg" / "data" / "postmaster.pid").exists()  # it stopped in order


def test_a_restart_waits_for_the_server_of_a_parent_that_was_just_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(tmp_path / "pg")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(mig_core.__file__).parents[1])},
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.communicate()

    with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        assert server.run_sql("SELECT 1") == "1"


START_AND_WAIT = """
import signal, sys
from pathlib import Path
from mig_core.store.embedded.server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, flush=True)
signal.pause()
"""


# -- errors that say what to do


def test_data_of_another_major_version_is_refused_and_left_alone(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    version = server.state_dir / "data" / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(StoreError, match="was made by PostgreSQL 9") as caught:
        server.start()

    assert "MIG_PG_BIN" in caught.value.next_step
    assert version.read_text() == "9\n"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.state_dir / "data" / "postgresql.conf").write_text("shared_buffers = 'many'\n")

    with pytest.raises(StoreUnavailable, match="shared_buffers"):
        server.start()

    assert server.pid is None


def test_a_state_directory_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "pg").write_text("")

    with pytest.raises(StoreUnavailable, match="pg"):
        EmbeddedPostgres(tmp_path / "pg").start()
