"""Runs command lines of the documentation on this machine, against files prepared for them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.manager import load_module
from mig_core.plugin.parameters import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FOUND = "1 of 1 agent found something"
A_RULE = 'rule planted { strings: $a = "planted" condition: $a }'
"""Stands for the file that an option such as ``--rules`` names."""
_NOTHING = "0 of 1 agent found something"


class LocalMig:
    """``mig MODULE -t local``. ``root`` stands for ``/`` in the paths of a command."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._home = folder / "home"
        self.root.mkdir()
        self._home.mkdir()

    def put(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Prepares a file."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    @staticmethod
    def commands(page: str) -> list[str]:
        """The commands in a page's shell blocks."""
        lines = "\n".join(_BLOCK.findall(page)).splitlines()
        return [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "mig ", "echo "))]

    def ask(self, line: str, *more: str, below_root: bool = False) -> tuple[list[str], bool]:
        """Runs a ``mig`` command here instead of at its target.

        Returns:
            The lines on its standard output, and whether it says that it found something.
        """
        program, module, *words = shlex.split(line)
        assert program == "mig"
        asked = [str(Path(sys.executable).with_name("mig")), module, "-t", "local", *more]
        while words:
            word = words.pop(0)
            if word == "-t":
                words.pop(0)
            elif word in ("--path", "--root") and below_root:
                asked += [word, f"{self.root}{words.pop(0)}"]
            else:
                asked.append(word)
        environment = {**os.environ, "HOME": str(self._home), "XDG_CONFIG_HOME": str(self._home)}
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert (_FOUND in done.stderr) != (_NOTHING in done.stderr), done.stderr
        return done.stdout.splitlines(), _FOUND in done.stderr


@pytest.fixture
def local_mig(tmp_path: Path) -> LocalMig:
    """This machine as an endpoint."""
    return LocalMig(tmp_path)


@pytest.fixture(scope="session")
def understand() -> Callable[[str], object]:
    """Parses a ``mig MODULE …`` line as the command line would: the module's parameters, or what is wrong with it."""
    return _understand


def _understand(line: str) -> object:
    program, name, *words = shlex.split(line)
    assert program == "mig"
    module = load_module(name)
    by_name = {one.name: one for one in module.parameters.members}
    switches = {one.name for one in module.parameters.switches}
    options: dict[str, Any] = {}
    while words:
        word = words.pop(0).lstrip("-")
        declared = by_name.get(word)
        if word in ("t", "show"):
            words.pop(0)
        elif word == "csv":
            continue
        elif declared is not None and declared.kind is not Kind.BOOLEAN:
            value = A_RULE if declared.reads_file else words.pop(0)
            if declared.reads_file:
                words.pop(0)
            if declared.many:
                options.setdefault(word, []).append(value)
            else:
                options[word] = int(value) if declared.kind is Kind.INTEGER else value
        elif word.startswith("no-") and word.removeprefix("no-") in by_name:
            options[word.removeprefix("no-")] = False
        else:
            assert declared is not None or word in switches, f"{name} has no option {word}"
            options[word] = True
    return module.parse_parameters(module.parameters.from_options(options))
