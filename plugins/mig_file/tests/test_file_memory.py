"""What a run keeps resident, measured in a child: the way the agent runs it, from the request to the answer's end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.document import dump
from mig_core.plugin.module import Context
from mig_endpoint.finding.answer import MAX_ANSWER_BYTES
from mig_file import FileModule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIMIT_KIB = 60 << 10
_RUN = """
import json, sys
from datetime import timedelta
from mig_core.agent.operations.executor import Executor, Interruption
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings

launcher = Launcher(allow=("file",))
executor = Executor(launcher, ModuleSettings(threads=int(sys.argv[2]), niceness=0))
outcome = executor.run(
    "file", json.loads(sys.argv[1]), seconds=120, interruption=Interruption(), environment={}, tags={}
)
launcher.close()
rows = outcome.result.elements["s1"]
print(json.dumps([outcome.state.value, outcome.max_rss_kib, len(rows), outcome.result.coverage.complete]))
"""
"""The launcher is the parent of the zygote, whose child's ru_maxrss counts what the zygote had when it forked."""


def measured(search: Mapping[str, object], *, threads: int = 1) -> tuple[str, int, int, bool]:

    parameters = json.dumps({"searches": {"s1": search}})
    done = subprocess.run(
        [sys.executable, "-c", _RUN, parameters, str(threads)], capture_output=True, text=True, check=True, timeout=180
    )
    state, rss, rows, complete = json.loads(done.stdout)
    return state, rss, rows, complete


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 names of 5,000 files: links to a file count as matches of their own."""
    tree = tmp_path_factory.mktemp("many")
    for directory in range(20):
        (tree / f"d{directory}").mkdir()
        for number in range(250):
            first = tree / f"d{directory}" / f"{number}-0.txt"
            first.write_text("some text\n")
            for name in range(1, 20):
                (tree / f"d{directory}" / f"{number}-{name}.txt").hardlink_to(first)
    return tree


def test_a_hundred_thousand_matching_rows_stay_below_60_megabytes(many: Path) -> None:
    search = {"paths": [str(many)], "names": ["."], "options": {"matchall": True, "matchlimit": 0, "maxdepth": 0}}

    state, rss, rows, complete = measured(search)

    assert state == "success"
    assert rows * 200 > MAX_ANSWER_BYTES // 4  # it really was a large answer
    assert not complete  # and it says that there was more
    assert rss < LIMIT_KIB


def test_a_scan_of_large_lines_with_two_threads_stays_below_60_megabytes(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.bin").write_bytes(b"no end of line " * (1 << 20))
    search = {
        "paths": [str(tmp_path)],
        "contents": [
            "(?i)(password|passwd|secret)[=:][a-z]{8}",
            "never.*there",
            "[a-z0-9._-]+@[a-z0-9-]+[.]example[.]net",
        ],
        "sha2": ["0" * 64],
        "options": {"matchall": False},
    }

    state, rss, _, _ = measured(search, threads=2)

    assert state == "success"
    assert rss < LIMIT_KIB


def test_rows_are_a_list_to_whoever_reads_them(many: Path) -> None:

    module = FileModule()
    parameters = module.parse_parameters({"searches": {"s1": {"paths": [str(many / "d0")], "names": ["^1-"]}}})

    result = module.run(parameters, Context(deadline=time.monotonic() + 60))

    assert isinstance(result.elements, dict)
    rows: Any = result.elements["s1"]
    document = json.loads(dump(result.to_json()))
    assert isinstance(rows, list)
    assert (len(rows), rows[0]["file"][-4:]) == (20, ".txt")
    assert rows == document["elements"]["s1"] == json.loads(json.dumps(rows))
    assert rows[0] in rows
    assert rows[1:3] == list(rows)[1:3]
