"""The original program's answers (``data/oracle_pkg.jsonl``): each case's setup is run, then the module asked.

A case of class contract must agree with ``expect``; a flaw with ``want``, or, without one, must not look complete.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time
from typing import Any

import pytest

from mig_core.domain.result import ModuleResult
from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_pkg import PkgModule

CASES = [
    json.loads(line) for line in (pathlib.Path(__file__).parent / "data" / "oracle_pkg.jsonl").read_text().splitlines()
]


def answer(parameters: Any) -> ModuleResult:
    module = PkgModule()
    try:
        parsed = module.parse_parameters(parameters, strict=False)
    except ParameterError as error:
        return ModuleResult.failure(str(error))
    return module.run(parsed, Context(deadline=time.monotonic() + 30))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_original_s_case(case: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "dpkg-query" in case["setup"] and shutil.which("dpkg-query") is None:
        pytest.skip("needs dpkg")
    environment = {**os.environ, "FIX": str(tmp_path)}
    subprocess.run(["bash", "-ec", "umask 022\n" + case["setup"]], cwd=tmp_path, env=environment, check=True)
    monkeypatch.setenv("PATH", case["path"].replace("$FIX", str(tmp_path)))

    result = answer(case["parameters"])

    wanted = case["expect"] if case["class"] == "contract" else case.get("want")
    if wanted is None:
        assert not result.coverage.complete
        return
    elements: Any = result.elements
    packages = elements and elements["packages"]
    got = {
        "success": result.success,
        "foundanything": result.found,
        "packages": packages and sorted([one["name"], one["version"], one["type"], one["arch"]] for one in packages),
        "order": packages and [one["name"] for one in packages],
    }
    assert {key: got[key] for key in wanted if key in got} == {key: wanted[key] for key in wanted if key in got}
    assert result.coverage.complete or not result.success or "rpm" in case["id"]  # its fake prints a bad line
