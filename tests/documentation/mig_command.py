"""Runs command lines of the documentation on this machine, against files prepared for them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FOUND = "1 of 1 agent found something"
_NOTHING = "0 of 1 agent found something"


def command_lines(page: str) -> list[str]:
    """The commands of a page's shell blocks, one block after the other."""
    lines = "\n".join(_BLOCK.findall(page)).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "mig ", "echo "))]


def asked_locally(line: str, root: Path | None = None) -> list[str]:
    """The words of a ``mig`` command with ``-t local``, and with its paths below ``root``."""
    program, module, *words = shlex.split(line)
    assert program == "mig"
    asked = [sys.executable, "-m", "mig_core.cli.main", module, "-t", "local"]
    while words:
        word = words.pop(0)
        if word == "-t":
            words.pop(0)
        elif word == "--path" and root is not None:
            asked += [word, f"{root}{words.pop(0)}"]
        else:
            asked.append(word)
    return asked


def run(words: Sequence[str], home: Path) -> tuple[list[str], bool]:
    """Runs it; the lines on its standard output, and whether it says that it found something."""
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert (_FOUND in done.stderr) != (_NOTHING in done.stderr), done.stderr
    return done.stdout.splitlines(), _FOUND in done.stderr
