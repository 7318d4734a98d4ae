"""Real processes to look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint.processes.proc import Proc
from mig_endpoint.testing.targets import start_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["start_target"]


@pytest.fixture
def tally() -> Tally:
    """What was not looked at."""
    return Tally()


@pytest.fixture
def proc(tally: Tally) -> Iterator[Proc]:
    """An open /proc."""
    with Proc(tally) as opened:
        yield opened


class ReadAll(Protocol):
    """The fixture's type."""

    def __call__(
        self, pid: int, *wanted: str, prefix: Sequence[str] = (), nofiles: bool = False, seconds: float = 60
    ) -> dict[str, Any]:
        """Reads a process in another, started with ``prefix`` before its command line; what ``reading`` says."""
        ...


@pytest.fixture
def read_all() -> ReadAll:
    """Reads a process's whole memory; privileges may be taken away before."""

    def read(
        pid: int, *wanted: str, prefix: Sequence[str] = (), nofiles: bool = False, seconds: float = 60
    ) -> dict[str, Any]:
        environment = {**os.environ, "WANTED": " ".join(one.encode().hex() for one in wanted)}
        environment |= {"NOFILES": "1"} if nofiles else {}
        program = [*prefix, sys.executable, str(Path(__file__).with_name("reading.py")), str(pid)]
        done = subprocess.run(program, env=environment, capture_output=True, check=True, timeout=seconds)
        answer: dict[str, Any] = json.loads(done.stdout)[0]
        return answer

    return read
