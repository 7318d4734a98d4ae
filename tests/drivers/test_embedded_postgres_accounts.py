"""The embedded PostgreSQL is started for real by root, in each of the ways root has, and by an ordinary user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import MigError, StoreUnavailable
from mig_core.store.embedded.programs import find_postgres
from mig_core.store.embedded.server import EmbeddedPostgres
from mig_core.testing.ordinary_user import let_everybody_pass
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.ordinary_user import OrdinaryUser

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        find_postgres()
    except MigError as error:
        service_missing(str(error))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "pg", durable=False)
    yield made
    made.stop()


@as_root
def test_root_runs_the_server_as_the_account_that_owns_the_state_directory(server: EmbeddedPostgres) -> None:
    # Also the way root takes where user namespaces are switched off.
    let_everybody_pass(server.state_dir.parent)
    server.state_dir.mkdir()
    os.chown(server.state_dir, NOBODY, NOBODY)

    server.start()

    assert server.pid is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
    assert (server.state_dir / "data").stat().st_uid == NOBODY
    assert server.run_sql("SELECT 1") == "1"


@as_root
def test_root_is_told_when_that_account_cannot_enter_the_folders_above(tmp_path: Path) -> None:
    state_dir = tmp_path / "closed" / "pg"
    state_dir.mkdir(parents=True)
    state_dir.parent.chmod(0o700)
    os.chown(state_dir, NOBODY, NOBODY)

    with pytest.raises(StoreUnavailable, match="cannot enter") as caught:
        EmbeddedPostgres(state_dir, durable=False).start()

    assert "choose a state directory" in caught.value.next_step


@as_root
def test_root_runs_the_server_in_a_user_namespace_and_keeps_the_files(server: EmbeddedPostgres) -> None:
    if subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are switched off here")

    server.start()

    assert (server.state_dir / "data").stat().st_uid == 0
    assert os.readlink(f"/proc/{server.pid}/ns/user") != os.readlink("/proc/self/ns/user")


def test_an_ordinary_user_starts_stops_and_restarts_it(ordinary_user: OrdinaryUser) -> None:
    done = ordinary_user.popen(AS_ORDINARY_USER, needs=NEEDED_FILES)

    output, errors = done.communicate(timeout=120)

    assert errors == ""
    assert output.split() == [str(ordinary_user.uid), "1", "1", "None"]


NEEDED_FILES = [
    "private_server.py",
    *(f"store/embedded/{name}.py" for name in ("server", "cluster", "programs", "socket_folder", "unprivileged")),
]

AS_ORDINARY_USER = """
from pathlib import Path
from mig_core.store.embedded.server import EmbeddedPostgres
server = EmbeddedPostgres(Path.home() / "pg", durable=False)
server.start()
print(Path(f"/proc/{server.pid}").stat().st_uid)
print(server.run_sql("SELECT 1"))
server.stop()
server.start()
print(server.run_sql("SELECT 1"))
server.stop()
print(server.pid)
"""
