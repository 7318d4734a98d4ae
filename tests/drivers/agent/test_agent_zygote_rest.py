"""The process that modules are forked from: it rests without work, is woken, and looks for plugins again."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

from mig_core.agent.operations.executor import Executor, Interruption
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.domain.command import CommandState
from mig_core.testing.eventually import eventually
from mig_core.testing.operations import run
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_after_a_while_without_work_the_zygote_rests_and_the_next_operation_wakes_it(
    zygote_program: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    launcher = Launcher(program=zygote_program, rest_after=3.0)  # time enough to read who served
    executor = Executor(launcher, ModuleSettings(memory_mb=96))
    run(executor, "echo", word="first")
    first = launcher.pid
    assert first

    assert eventually(lambda: launcher.pid == 0 and not alive(first))
    outcome = run(executor, "echo", word="second")

    assert outcome.state is CommandState.SUCCESS
    assert launcher.pid not in (0, first)
    assert "will be started again" not in caplog.text
    launcher.close()


def test_it_can_be_begun_ahead_of_an_operation_and_rests_again_if_none_comes(zygote_program: tuple[str, ...]) -> None:
    launcher = Launcher(program=zygote_program, rest_after=3.0)
    executor = Executor(launcher, ModuleSettings(memory_mb=96))

    executor.get_ready()
    executor.get_ready()

    assert eventually(lambda: launcher.pid != 0)
    begun = launcher.pid
    assert run(executor, "echo", word="first").state is CommandState.SUCCESS
    assert launcher.pid == begun
    assert eventually(lambda: launcher.pid == 0 and not alive(begun))
    executor.get_ready()
    assert eventually(lambda: launcher.pid not in (0, begun))
    launcher.close()
    executor.get_ready()
    assert eventually(lambda: not alive(launcher.pid))


def test_after_a_rest_what_was_installed_meanwhile_counts(
    plugin_folder: Path, zygote_program: tuple[str, ...], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(plugin_folder, site)
    program = tuple(one.replace(str(plugin_folder), str(site)) for one in zygote_program)
    launcher = Launcher(program=program, rest_after=0.2)
    executor = Executor(launcher, ModuleSettings(memory_mb=96))
    before = [run(executor, "echo", word="first").state]

    rested(launcher)
    before.append(run(executor, "echo", word="after a rest").state)
    points = next(site.glob("*.dist-info/entry_points.txt")).read_text()
    twin = site / "twin-1.0.dist-info"
    twin.mkdir()
    (twin / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 1.0\n")
    (twin / "entry_points.txt").write_text(points)
    rested(launcher)
    after = run(executor, "echo", word="claimed by two").state

    assert before == [CommandState.SUCCESS, CommandState.SUCCESS]
    assert after is not CommandState.SUCCESS
    assert "claimed by more than one distribution" in launcher.catalogue.failures["echo"]
    launcher.close()


def test_who_has_plugins_looked_for_again_is_not_given_what_was_being_started_before(
    zygote_program: tuple[str, ...], tmp_path: Path
) -> None:
    """It may have looked before the new plugin was there."""
    pids, go = tmp_path / "pids", tmp_path / "go"
    waiting = f'echo $$ >> {pids}; while [ ! -e {go} ]; do sleep 0.02; done; exec "$@"'
    launcher = Launcher(program=("sh", "-c", waiting, "sh", *zygote_program))

    launcher.wake()
    assert eventually(lambda: pids.exists() and pids.read_text().endswith("\n"))
    renewing = threading.Thread(target=launcher.renew)
    renewing.start()
    go.touch()
    renewing.join()

    assert [launcher.pid] == [int(line) for line in pids.read_text().split()[1:]]
    launcher.close()


def rested(launcher: Launcher) -> None:
    pid = launcher.pid
    assert eventually(lambda: launcher.pid == 0 and (not pid or not alive(pid)))


def test_an_operation_that_takes_longer_than_the_rest_is_not_disturbed(
    zygote_program: tuple[str, ...], tmp_path: Path
) -> None:
    launcher = Launcher(program=zygote_program, rest_after=0.1)
    executor = Executor(launcher, ModuleSettings(memory_mb=96))
    interruption = Interruption()
    timer = threading.Timer(1.0, interruption.interrupt, ["enough"])
    timer.start()

    outcome = run(executor, "stubborn", interruption=interruption, seconds=600, word=str(tmp_path / "pid"))

    assert (outcome.state, interruption.why) == (CommandState.CANCELLED, "enough")
    timer.join()
    launcher.close()


def test_operations_that_begin_just_as_it_goes_to_rest_all_run(zygote_program: tuple[str, ...]) -> None:
    launcher = Launcher(program=zygote_program, rest_after=0.05)
    executor = Executor(launcher, ModuleSettings(memory_mb=96))

    states = []
    for number in range(12):
        time.sleep(0.045 + 0.001 * number)
        states.append(run(executor, "echo", word="again").state)

    assert set(states) == {CommandState.SUCCESS}
    launcher.close()


class Recorder:
    """A companion that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def get_ready(self) -> None:
        self.told.append("get ready")

    def rest(self) -> None:
        self.told.append("rest")


def test_its_companion_gets_ready_when_nothing_happens_and_rests_with_it(zygote_program: tuple[str, ...]) -> None:
    launcher = Launcher(program=zygote_program, rest_after=0.5)
    launcher.companion = companion = Recorder()
    executor = Executor(launcher, ModuleSettings(memory_mb=96))

    run(executor, "echo", word="once")

    assert eventually(lambda: companion.told[-2:] == ["get ready", "rest"])
    launcher.close()


def test_its_companion_rests_when_the_agent_ends(zygote_program: tuple[str, ...]) -> None:
    launcher = Launcher(program=zygote_program)
    launcher.companion = companion = Recorder()
    launcher.start()
    eventually(lambda: companion.told)

    launcher.close()

    assert eventually(lambda: companion.told == ["get ready", "rest"])
