"""``mig plugin new`` writes a plugin that installs, is found, and passes the contract's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.cli.plugin_template import write_plugin
from mig_core.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("table", "question", "line"),
    [(False, ["-path", "/"], "port_check: found"), (True, ["--uid", "0"], "user=root uid=0 home=/root")],
)
def test_it_installs_is_found_and_passes_its_own_tests(
    table: bool, question: list[str], line: str, tmp_path: Path
) -> None:
    plugin = write_plugin("port_check", tmp_path / "mig_port_check", table=table)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(plugin)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    program = [sys.executable, "-c", "from mig_core.cli.main import main; main()"]

    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(plugin)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    asked = subprocess.run(
        [*program, "port_check", "-t", "local", *question, "-show", "all"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert tested.returncode == 0, tested.stdout
    assert line in asked.stdout, asked.stderr


@pytest.mark.parametrize("name", ["", "Port", "1port", "a b", "../x", "x" * 33])
def test_a_name_that_is_no_modules_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError):
        write_plugin(name, tmp_path / "folder")

    assert not (tmp_path / "folder").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="exists already"):
        write_plugin("port", tmp_path)
