"""The walk-through's questions about packages and memory, through the whole platform."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.cli.demo.site import ENDPOINTS
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.testing.fleet import Fleet

MARKER = "docmarker-of-the-modules-test"


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process whose memory holds the marker; the whole of it stands nowhere in its command line."""
    half = len(MARKER) // 2
    keep = f"kept = {MARKER[:half]!r} + sys.stdin.readline().strip()"
    code = f"import sys; {keep}; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(MARKER[half:] + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_every_endpoint_knows_its_packages(fleet: Fleet) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("this machine has no dpkg")

    answers = fleet.ask("pkg", "-t", "all", "-name", "^dpkg$")

    assert set(answers) == set(ENDPOINTS)
    assert all(one["found"] and one["complete"] for one in answers.values())
    assert answers[ENDPOINTS[0]]["results"][0]["elements"]["packages"][0]["type"] == "dpkg"


def test_a_text_in_a_process_is_found_and_the_agents_do_not_find_themselves(
    fleet: Fleet, holder: subprocess.Popen[str]
) -> None:
    if os.geteuid() != 0:
        service_missing("reading other processes' memory needs root")

    answers = fleet.ask("memory", "-t", "all", "-name", "python", "-content", "docmarker-of-the-[m]odules-test")

    for one in answers.values():
        pids = {row["process"]["pid"] for row in one["results"][0]["elements"]["s1"]}
        assert holder.pid in pids


def test_yara_rules_travel_in_the_question(fleet: Fleet, tmp_path: Path) -> None:
    if importlib.util.find_spec("mig_yara") is None:
        pytest.skip("mig-plugin-yara is not installed")
    (tmp_path / "rules.yar").write_text('rule planted { strings: $a = "planted sign" condition: $a }')
    (tmp_path / "file").write_text("a planted sign")

    answers = fleet.ask("yara", "-t", "all", "-rules", str(tmp_path / "rules.yar"), "-path", str(tmp_path / "file"))

    assert set(answers) == set(ENDPOINTS)
    for one in answers.values():
        assert [row["rule"] for row in one["results"][0]["elements"]["rows"]] == ["planted"]
        assert one["complete"]


def test_a_sweep_is_one_action_and_its_rows_say_their_indicator(fleet: Fleet, tmp_path: Path) -> None:
    if importlib.util.find_spec("mig_sweep") is None:
        pytest.skip("mig-plugin-sweep is not installed")
    (tmp_path / "file").write_text("known")
    digest = hashlib.sha256(b"known").hexdigest()
    (tmp_path / "list.txt").write_text(f"{digest}\n203.0.113.77\n")

    asked = fleet.mig("sweep", str(tmp_path / "list.txt"), "-t", "all", "--path", str(tmp_path), "--csv")

    assert asked.returncode == 0, asked.stderr
    found = list(csv.DictReader(io.StringIO(asked.stdout)))
    assert {row["agent"] for row in found} == set(ENDPOINTS)
    assert {(row["type"], row["value"], row["source"]) for row in found} == {("hash", digest, "list.txt")}


def test_an_unknown_parameter_never_leaves_the_investigators_machine(fleet: Fleet) -> None:
    def known() -> set[str]:
        """Not how far they are: one that was asked before may still go on."""
        return {one["id"] for one in json.loads(fleet.mig("actions", "--json").stdout)}

    before = known()

    asked = fleet.mig("memory", "-t", "all", "-bytes", "xyz")

    assert asked.returncode == 2
    assert "memory: --bytes: 'xyz'" in asked.stderr
    assert known() == before
