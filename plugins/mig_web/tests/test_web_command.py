"""``mig web`` where it cannot do its work: one error that names the subject, and the status."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.demo.processes import program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of an investigator who has no settings yet."""
    return {**os.environ, "MIG_CONFIG": str(tmp_path / "config.toml")}


def ran(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("mig"), "web", "--no-open", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_settings_it_says_how_to_make_them(environment: dict[str, str]) -> None:
    answered = ran(environment)

    assert (answered.returncode, answered.stdout) == (exit_codes.ERROR, "")
    assert answered.stderr.startswith("mig: ")
    assert "mig config init" in answered.stderr


def test_a_port_that_was_asked_for_and_is_taken_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'api = "http://127.0.0.1:1"\nfingerprint = "{"A" * 40}"\n')
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        answered = ran(environment, "--port", port)

    assert (answered.returncode, answered.stdout) == (exit_codes.ERROR, "")
    assert f"127.0.0.1:{port}" in answered.stderr
    assert "leave --port out" in answered.stderr
