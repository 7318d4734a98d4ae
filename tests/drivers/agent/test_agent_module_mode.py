"""``mig-agent -m MODULE`` as other programs call it: one message in, one result out, exit status 0."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ["foundanything", "success", "elements", "statistics", "errors", "coverage"]


def run(environment: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mig_core.agent.main", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, check=False, timeout=300
    )


def message(**parameters: object) -> str:
    return json.dumps({"class": "parameters", "parameters": parameters})


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    assert not done.stdout.endswith("\n")
    decoded = json.loads(done.stdout)
    assert isinstance(decoded, dict)
    return decoded


def test_one_result_object_with_all_its_keys_is_printed(plugin_environment: dict[str, str]) -> None:
    answer = result(run(plugin_environment, "-m", "echo", stdin=message(word="hello") + "\n"))

    assert list(answer) == KEYS
    assert answer["foundanything"] and answer["success"]
    assert answer["elements"]["word"] == "hello"
    assert answer["errors"] is None


def test_keys_are_read_in_any_case_and_unknown_ones_ignored(plugin_environment: dict[str, str]) -> None:
    stdin = json.dumps({"Class": "parameters", "PARAMETERS": {"WORD": "x", "other": 1}, "more": 2})

    assert result(run(plugin_environment, "-m", "ECHO", stdin=stdin))["elements"]["word"] == "x"


def test_missing_parameters_are_an_empty_object(plugin_environment: dict[str, str]) -> None:
    assert result(run(plugin_environment, "-m", "echo", stdin='{"class":"parameters"}'))["success"]


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("", "EOF"),
        ("what", "not JSON"),
        ("[]", "not an object"),
        ('{"class":"stop"}', "expected 'parameters'"),
        ('{"class":"parameters","parameters":{"seconds":"x"}}', "seconds: must be a whole number"),
        ('{"class":"parameters","parameters":[]}', "must be an object"),
    ],
)
def test_a_message_that_will_not_do_is_a_failed_result(
    plugin_environment: dict[str, str], stdin: str, words: str
) -> None:
    answer = result(run(plugin_environment, "-m", "echo", stdin=stdin))

    assert list(answer) == KEYS
    assert not answer["success"]
    assert len(answer["errors"]) == 1
    assert words in answer["errors"][0]
    assert answer["elements"] is None


def test_a_module_that_raises_is_a_failed_result_and_labelled_elements_stay_an_object(
    plugin_environment: dict[str, str],
) -> None:
    answer = result(run(plugin_environment, "-m", "labelled", stdin=message()))

    assert not answer["success"]
    assert answer["elements"] == {}
    assert answer["errors"] == ["ValueError: nothing but trouble"]


def test_an_unknown_module_prints_errors_only(plugin_environment: dict[str, str]) -> None:
    assert result(run(plugin_environment, "-m", "nosuch", stdin=message())) == {
        "errors": ["module 'nosuch' is not available"]
    }


def test_what_a_module_prints_does_not_mix_with_the_result(plugin_environment: dict[str, str]) -> None:
    done = run(plugin_environment, "-m", "loud", stdin=message())

    assert result(done)["elements"] == "said"
    assert "xxx" in done.stderr


def test_lines_for_people_are_printed_instead_on_request(plugin_environment: dict[str, str]) -> None:
    done = run(plugin_environment, "-p", "-m", "failing", stdin=message())

    assert done.returncode == 0
    assert done.stdout.splitlines() == ["failing: not found", "the cupboard is empty"]


def test_module_mode_needs_neither_the_network_nor_the_cryptography(plugin_environment: dict[str, str]) -> None:
    code = (
        "import sys; from mig_core.agent.main import main; main(['-m', 'echo']); "
        "sys.exit(str(sorted("
        "{'pika', 'urllib3', 'nacl', 'psutil', 'argparse', 'asyncio'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=message(),
        capture_output=True,
        text=True,
        env=plugin_environment,
        check=False,
    )

    assert done.stderr.splitlines()[-1] == "[]"


def test_settings_that_want_privacy_are_heeded_when_they_are_named(
    plugin_environment: dict[str, str], tmp_path: Path
) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text("[modules]\nextra_privacy = true\n")

    done = run(plugin_environment, "-c", str(settings), "-m", "echo", stdin=message(word="secret"))

    assert result(done)["elements"] == {"word": "masked"}
