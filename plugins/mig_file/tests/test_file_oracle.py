"""The original's answers, case by case (``data/oracle_file.jsonl``), and the answers it should have given.

A case's ``setup`` runs with bash in a fresh directory, ``$FIX``; the module then runs in this process. *Contract* cases
are held to ``expect``; *flaw* and *unstable* ones to ``want``, where the original was wrong. Cases marked ``runas``
need root and run in a child that has given it up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_file import FileModule

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = [
    case
    for case in map(json.loads, (Path(__file__).parent / "data" / "oracle_file.jsonl").read_text().splitlines())
    if case["class"] == "contract" or case.get("want")
]
NOBODY = 65534
WORDS = {"names": "name", "sizes": "size", "modes": "mode", "mtimes": "mtime", "contents": "content"} | {
    key: key for key in ("md5", "sha1", "sha2", "sha3")
}


@pytest.fixture
def fixture_directory() -> Iterator[Path]:
    # not tmp_path: the way there must be open to nobody
    path = Path(tempfile.mkdtemp(prefix="mig-oracle-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", str(path)], check=False)
    shutil.rmtree(path)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_the_answer_is_the_one_known_to_be_right(case: dict[str, Any], fixture_directory: Path) -> None:
    if case.get("runas") and os.geteuid() != 0:
        pytest.skip("needs root, to give it up")
    environment = {"FIX": str(fixture_directory), "PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    script = f"umask 022\n{case['setup']}"
    subprocess.run(["bash", "-ec", script], cwd=fixture_directory, env=environment, check=True, timeout=60)
    parameters = _replaced(case["parameters"], "$FIX", str(fixture_directory))
    expected = case["expect"] if case["class"] == "contract" else case["want"]

    answer = _as_nobody(parameters) if case.get("runas") else _answer(parameters)

    normal = _replaced(_normal_form(answer), str(fixture_directory), "$FIX")
    compared = {key: value for key, value in expected.items() if key in normal}
    assert compared
    assert {key: normal[key] for key in compared} == compared


def _answer(parameters: Any) -> Any:
    module = FileModule()
    try:
        searches = module.parse_parameters(parameters, strict=False)
    except ParameterError as error:
        return module.failure(str(error)).to_json()
    return module.run(searches, Context(deadline=time.monotonic() + 60)).to_json()


def _as_nobody(parameters: Any) -> Any:
    # everything is imported before the child loses the right to
    assert {"mig_endpoint.finding.evaluation", "mig_endpoint.finding.exploring"} <= set(sys.modules)
    FileModule().parse_parameters(parameters, strict=False)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with os.fdopen(writing, "w") as stream:
                json.dump(_answer(parameters), stream)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text)


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    if isinstance(value, dict):
        return {_replaced(key, old, new): _replaced(one, old, new) for key, one in value.items()}
    return value


def _normal_form(answer: Any) -> dict[str, Any]:
    elements = answer["elements"] or {}
    files = {label: sorted({row["file"] for row in found if row["file"]}) for label, found in elements.items()}
    normal: dict[str, Any] = {
        "success": answer["success"],
        "foundanything": answer["foundanything"],
        "files": files,
        "counts": {label: len(found) for label, found in files.items()},
        "rows": {
            label: {"matched": sum(bool(row["file"]) for row in found), "empty": sum(not row["file"] for row in found)}
            for label, found in elements.items()
        },
        "checks": {
            label: sorted([row["file"], _checks(row["search"])] for row in found)
            for label, found in elements.items()
            if not all(row["search"]["options"]["matchall"] for row in found)
        },
        "sha256": {
            row["file"]: row["fileinfo"]["sha256"]
            for found in elements.values()
            for row in found
            if "sha256" in row["fileinfo"]
        },
    }
    statistics = answer["statistics"]
    normal["statistics"] = {key: statistics[key] for key in ("filescount", "openfailed", "totalhits")}
    return normal


def _checks(search: dict[str, Any]) -> str:
    return " ".join(f"{word}={value}" for key, word in WORDS.items() for value in search.get(key) or [])
