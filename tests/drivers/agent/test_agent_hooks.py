"""Agent hooks of plugins: they run in children, add facts, hear of finished operations, and no more."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.operations.executor import Executor, Interruption, Outcome
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.domain.command import CommandState
from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Where the hook notes what it heard."""
    return tmp_path / "finished"


@pytest.fixture
def hooked_launcher(
    plugin_folder: Path, plugin_environment: dict[str, str], tmp_path: Path, finished: Path
) -> Iterator[Launcher]:
    """A launcher on an endpoint whose plugin brings hooks too."""
    folder = tmp_path / "site"
    shutil.copytree(plugin_folder, folder)
    points = folder / "mig_plugin_trial-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "[mig.agent]\ncloud = trial_modules:CloudFacts\nbad = no_such_file:Hooks\n")
    path = f"PYTHONPATH={folder}:{plugin_environment['PYTHONPATH']}"
    program = ("env", path, f"MIG_TRIAL_FINISHED={finished}", sys.executable, "-m", "mig_core.agent.operations.zygote")
    launcher = Launcher(allow=("echo",), program=program)
    yield launcher
    launcher.close()


def run_echo(executor: Executor) -> Outcome:
    return executor.run("echo", {"word": "x"}, seconds=60, interruption=Interruption(), environment={}, tags={})


def test_hooks_add_facts_and_hear_of_finished_operations(hooked_launcher: Launcher, finished: Path) -> None:
    executor = Executor(hooked_launcher, ModuleSettings())

    facts: Any = executor.gather("")
    outcome = run_echo(executor)

    def heard() -> bool:
        # The result is under way before, and who has given it is not waited for for long.
        return run_echo(executor).state is CommandState.SUCCESS and finished.exists()

    assert facts["environment"]["zone"] == "a"
    assert facts["environment"]["seen"] == "linux"
    assert outcome.state is CommandState.SUCCESS
    assert eventually(heard)
    eventually(lambda: set(finished.read_text().splitlines()) == {"echo:True:True:True"})
    assert "no_such_file" in hooked_launcher.catalogue.failures["bad"]


def test_a_module_that_the_owner_does_not_allow_is_not_there(hooked_launcher: Launcher) -> None:
    assert set(hooked_launcher.start().modules) == {"echo"}
