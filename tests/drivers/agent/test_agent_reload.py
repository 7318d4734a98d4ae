"""A running agent notices what changed on its endpoint, in the process that it is."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

from mig_core.domain.command import CommandState

if TYPE_CHECKING:
    from pathlib import Path

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


def test_a_removed_key_is_believed_by_no_command_any_more_without_a_restart(
    endpoint: Endpoint, platform: Platform
) -> None:
    key = endpoint.folder / "keys" / "irene.asc"
    content = key.read_bytes()
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)
    first, second, third = (endpoint.command(endpoint.action(("echo", {"word": "x"}))) for _ in range(3))
    platform.send(first)
    assert platform.answer_to(first.command).state is CommandState.SUCCESS
    told = platform.heartbeats[-1].facts.environment["keyring"]

    key.unlink()
    platform.send(second)

    refused = platform.answer_to(second.command)
    assert refused.state is CommandState.REFUSED and refused.reason.startswith("signature")
    platform.wait_for(lambda: platform.heartbeats[-1].facts.environment["keyring"] != told)

    key.write_bytes(content)
    platform.send(third)

    assert platform.answer_to(third.command).state is CommandState.SUCCESS
    platform.wait_for(lambda: platform.heartbeats[-1].facts.environment["keyring"] == told)


def test_settings_are_taken_over_in_the_same_process_and_broken_ones_leave_the_old_in_force(
    endpoint: Endpoint, platform: Platform
) -> None:
    settings = endpoint.configuration.read_text()
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)

    endpoint.configuration.write_text(settings.replace("blue", "green") + "\nnonsense = true\n")
    os.kill(endpoint.pid, signal.SIGHUP)

    platform.wait_for(lambda: "nonsense" in platform.heartbeats[-1].facts.failures.get("settings", ""))
    assert platform.heartbeats[-1].facts.tags == {"team": "blue"}

    (endpoint.folder / "tags.d").mkdir()
    (endpoint.folder / "tags.d" / "site").write_text("berlin")
    folder = f'tags_folder = "{endpoint.folder}/tags.d"'
    endpoint.configuration.write_text(f"{folder}\n{settings.replace('blue', 'green')}")
    os.kill(endpoint.pid, signal.SIGHUP)

    platform.wait_for(lambda: platform.heartbeats[-1].facts.tags == {"team": "green", "site": "berlin"})
    after = platform.heartbeats[-1].facts
    assert after.pid == endpoint.pid and after.failures.keys() == {"broken"}
    assert "the settings are others now (tags, tags_folder)" in endpoint.log
    command = endpoint.command(endpoint.action(("echo", {"word": "x"})))
    platform.send(command)
    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert endpoint.stop() == 0


def test_a_plugin_that_is_installed_answers_without_a_restart_and_what_runs_is_not_disturbed(
    endpoint: Endpoint, platform: Platform, plugin_folder: Path
) -> None:
    site = endpoint.folder / "site"
    site.mkdir()
    endpoint.environment = {**endpoint.environment, "PYTHONPATH": f"{site}:{endpoint.environment['PYTHONPATH']}"}
    endpoint.start()
    trace = endpoint.folder / "trace"
    running = endpoint.command(endpoint.action(("counting", {"word": str(trace), "seconds": 2})))
    platform.send(running)
    platform.wait_for(trace.exists)

    source = (plugin_folder / "trial_modules.py").read_text()
    (site / "late_module.py").write_text(source.replace('info("echo"', 'info("late"'))
    metadata = site / "mig_plugin_late-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mig-plugin-late\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[mig.modules]\nlate = late_module:Echo\n")
    os.kill(endpoint.pid, signal.SIGHUP)

    platform.wait_for(lambda: platform.heartbeats and "late" in platform.heartbeats[-1].facts.modules)
    command = endpoint.command(endpoint.action(("late", {"word": "x"})))
    platform.send(command)
    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert platform.answer_to(running.command).state is CommandState.SUCCESS
    assert len(trace.read_text().splitlines()) == 1, "it ran once"

    shutil.rmtree(metadata)
    os.kill(endpoint.pid, signal.SIGHUP)

    platform.wait_for(lambda: "late" not in platform.heartbeats[-1].facts.modules)


def test_who_is_told_to_end_while_it_ends_to_begin_again_does_not_begin_again(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)

    endpoint.configuration.write_text(endpoint.configuration.read_text().replace("blue", "green"))
    os.kill(endpoint.pid, signal.SIGHUP)
    platform.wait_for(lambda: "begins again" in endpoint.log)

    assert endpoint.stop() in (0, -signal.SIGTERM)


def test_an_image_has_no_agent_and_a_machine_made_from_it_has_a_new_one(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)
    in_use = endpoint.run("prepare-image")
    endpoint.stop()

    prepared = endpoint.run("prepare-image")
    refused, no_id = endpoint.run(), endpoint.run("id")

    assert in_use.returncode == 1 and "another agent uses" in in_use.stderr
    assert prepared.returncode == 0 and f"mig agent retire {endpoint.id}" in prepared.stderr
    assert sorted(one.name for one in endpoint.state.iterdir()) == ["image.json", "lock"]
    assert refused.returncode == 1 and "an image that is being built" in refused.stderr
    assert no_id.returncode == 1 and "an image that is being built" in no_id.stderr
    assert not (endpoint.state / "agent.key").exists()

    mark = endpoint.state / "image.json"
    mark.write_text(mark.read_text().replace('"boot": "', '"boot": "earlier-'))
    endpoint.start()

    platform.wait_for(lambda: platform.heartbeats and platform.heartbeats[-1].facts.id != endpoint.id)
