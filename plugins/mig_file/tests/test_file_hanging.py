"""A file system that does not answer, asked through the program that people use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mig_endpoint import coverage
from mig_endpoint.testing.served import hanging, taking

MIG = str(Path(sys.executable).with_name("mig"))


def _started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [MIG, "file", "-t", "local", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_deadline_holds_and_what_was_found_elsewhere_is_returned(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "local.txt").write_text("EVIL\n")
    with hanging(tmp_path / "m"):
        process = _started("-path", str(tmp_path), "-content", "EVIL", "-e", "8s", "--json")
        out, err = process.communicate(timeout=60)

    (result,) = json.loads(out)["answers"][0]["results"]
    assert [row["file"] for row in result["elements"]["s1"]] == [f"{tmp_path}/local.txt"], err
    assert not result["coverage"]["complete"]
    assert coverage.UNRESPONSIVE.text in out


def test_a_server_that_takes_a_question_and_never_answers_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "local.txt").write_text("EVIL\n")
    with taking(tmp_path / "m"):
        process = _started("-path", str(tmp_path), "-content", "EVIL", "-e", "4s", "--json")
        out, err = process.communicate(timeout=60)  # both are closed, and the program has ended

    (result,) = json.loads(out)["answers"][0]["results"]
    assert [row["file"] for row in result["elements"]["s1"]] == [f"{tmp_path}/local.txt"], err
    assert not result["coverage"]["complete"]
    assert process.returncode == 0


def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with hanging(tmp_path / "m"):
        process = _started("-path", str(tmp_path / "m" / "x"), "-name", ".")
        _wait_for_a_thread(process.pid)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        took = time.monotonic() - interrupted

    assert process.returncode == 130
    assert took < 8  # it would have waited for ten seconds


def _wait_for_a_thread(program: int) -> None:
    """Until the call that does not return has been made, by the program's child."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            children = Path(f"/proc/{program}/task/{program}/children").read_text().split()
            if any(len(os.listdir(f"/proc/{child}/task")) > 1 for child in children):
                time.sleep(0.3)
                return
        except FileNotFoundError:
            return
        time.sleep(0.05)
