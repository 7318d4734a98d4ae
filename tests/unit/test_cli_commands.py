"""Every command of ``mig`` can be loaded, explains itself, and costs nothing before it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main
from mig_core.cli.own_commands import OWN_COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.testing.keys import InvestigatorKeys

HEAVY = {"psycopg", "falcon", "pika", "urllib3", "gnupg", "re2", "pyroute2", "rich", "mig_file"}
SLOW_TO_START = {
    *("psycopg", "falcon", "pika", "urllib3", "nacl", "pluggy", "stevedore", "importlib.metadata", "jsonschema"),
    *("rich", "pydantic", "click", "prompt_toolkit", "asyncio", "zipfile", "urllib.request"),
    *("mig_core.agent", "mig_core.api", "mig_core.scheduler", "mig_core.store", "mig_core.pgp.keyring"),
    *("mig_core.domain.target.matching", "mig_core.domain.target.automaton", "mig_core.domain.target.regex"),
    *("mig_core.domain.agent", "mig_core.plugin.table", "mig_core.client.through_proxy"),
    *("mig_memory", "mig_pkg", "mig_sweep", "mig_sigma"),
}
"""What neither help nor a question waits for; what is imported grows by itself, and nobody notices 10 ms."""


@pytest.mark.parametrize("command", sorted(OWN_COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([command, "--help"])

    assert status == exit_codes.ALL_ANSWERED
    assert "Usage: mig" in capsys.readouterr().out


def test_help_imports_no_command_and_no_plugin() -> None:
    code = "import sys; from mig_core.cli.main import main; main(['--help']); print('IMPORTED', *sorted(sys.modules))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    imported = set(printed.rpartition("IMPORTED")[2].split())
    assert imported & HEAVY == set()
    assert not {name for name in imported if name.startswith("mig_core.cli.") and name.endswith((".agents", ".ask"))}


def test_neither_help_nor_a_question_waits_for_what_it_does_not_need(
    investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'api = "http://127.0.0.1:1"\nfingerprint = "{investigator_keys.alice.fingerprint}"\n'
        f'gnupg_home = "{investigator_keys.home}"\n'
    )
    places = {"MIG_CONFIG": str(settings), "XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    code = (
        "import sys; from mig_core.cli.main import main; main(sys.argv[1:]);"
        "import mig_core.cli.following; print('IMPORTED', *sorted(sys.modules))"
    )

    for words in (["--help"], ["file", "-path", "/etc", "-name", "^shadow$", "-t", "os='linux'"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **places},
        )
        imported = set(done.stdout.rpartition("IMPORTED")[2].split())
        assert imported & SLOW_TO_START == set(), words
    assert "typer" not in imported
    assert "127.0.0.1:1" in done.stderr  # the question was signed, and went as far as the API
    assert "mig_core.client.direct" in imported


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-command"]) == exit_codes.USAGE
    assert "no-such-command" in capsys.readouterr().err


def test_a_misspelt_option_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["file", "-pathh", "/etc"]) == exit_codes.USAGE
    assert "Did you mean -path?" in capsys.readouterr().err


def test_without_settings_the_error_says_how_to_make_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIG_CONFIG", "/nonexistent/config.toml")

    assert main(["agents"]) == exit_codes.ERROR
    assert "mig config init" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("file", "mig-plugin-file"),
        ("agents", "a command of mig itself"),
        ("endpoint", "the Python package mig_endpoint"),
    ],
)
def test_a_new_plugin_cannot_have_a_name_that_is_taken(
    name: str, owner: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["plugin", "new", name, "--folder", str(tmp_path / "new")]) == exit_codes.ERROR

    assert f"the name is taken by {owner}" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
