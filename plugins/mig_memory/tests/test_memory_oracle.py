"""The recorded answers of the original, and what is wanted where those are wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_core.testing.services import service_missing
from mig_memory import MemoryModule

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "oracle_memory.jsonl").read_text(encoding="utf-8").splitlines()
]
WORDS = {"names": "name", "libraries": "library", "contents": "content", "bytes": "byte"}
NOBODY = 65534


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_answer_is_the_recorded_one(case: dict[str, Any], tmp_path: Path) -> None:
    wanted = case["expect"] if case["class"] == "contract" else case.get("want", {})
    for program in ("bash", *(["gcc"] if "gcc" in case["setup"] else [])):
        if shutil.which(program) is None:
            service_missing(f"no {program} to make this case's processes with")
    if case.get("runas") and os.geteuid() != 0:
        service_missing("becoming somebody else needs root")
    environment = {"FIX": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    try:
        subprocess.run(["bash", "-ec", "umask 022\n" + case["setup"]], cwd=tmp_path, env=environment, check=True)
        text = json.dumps(case["parameters"]).replace("$FIX", str(tmp_path)).replace("$AGENT", sys.executable)
        got = as_nobody(json.loads(text)) if case.get("runas") else answer(json.loads(text))
    finally:
        subprocess.run(["bash", "-c", case["teardown"]], cwd=tmp_path, env=environment, check=False)

    summary = json.loads(json.dumps(summarised(got)).replace(str(tmp_path), "$FIX"))
    assert {key: summary.get(key) for key in wanted if key != "errors"} == {
        key: value for key, value in wanted.items() if key != "errors"
    }
    assert bool(got["errors"]) == bool(wanted.get("errors"))


def answer(parameters: Any) -> dict[str, Any]:
    """The result's JSON, as ``mig-agent -m memory`` gives it."""
    module = MemoryModule()
    result: ModuleResult
    try:
        parsed = module.parse_parameters(parameters, strict=False)
        result = module.run(parsed, Context(deadline=time.monotonic() + 60))
    except ParameterError as error:
        result = module.failure(str(error))
    return result.to_json()


def as_nobody(parameters: Any) -> dict[str, Any]:
    """The same in a process that has given up all its privileges."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, json.dumps(answer(parameters)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(child, 0)
    got: dict[str, Any] = json.loads(raw)
    assert not got["coverage"]["complete"], "not being allowed to look must not look like having found nothing"
    return got


def summarised(got: dict[str, Any]) -> dict[str, Any]:
    """The parts of a result that the cases record."""
    rows = {label: found or [] for label, found in (got["elements"] or {}).items()}
    checks = {
        label: sorted([row["process"]["name"], check_of(row["search"])] for row in found)
        for label, found in rows.items()
        if any(not row["search"]["options"].get("matchall") for row in found)
    }
    return {
        "success": got["success"],
        "foundanything": got["foundanything"],
        "processes": {
            label: sorted(row["process"]["name"] for row in found if row["process"]["name"])
            for label, found in rows.items()
        },
        "empty_rows": {label: sum(not row["process"]["name"] for row in found) for label, found in rows.items()},
        "checks": checks,
        "totalhits": got["statistics"]["totalhits"],
    }


def check_of(search: dict[str, Any]) -> str:
    return " ".join(f"{word}={value}" for key, word in WORDS.items() for value in search.get(key) or [])
