"""A case: from questions on a fleet to a file that somebody checks who has neither platform nor network."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.testing.fleet import Fleet

# What is carried is the same over either relay.
pytestmark = pytest.mark.parametrize("fleet_relay", ["https"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def asked(fleet: Fleet) -> str:
    """A question that everybody answered."""
    identifier = fleet.detach("file", "-t", "all", "-path", "etc", "-name", "^hostname$", "-n", "=host_names_*of*_all")
    fleet.ended(identifier)
    return identifier


@pytest.fixture(scope="module")
def mig(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """``mig`` with cases in a folder of its own; gives its standard output."""

    def run(*words: str, status: int = 0) -> str:
        ran = fleet.mig(*words)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout if status == 0 else ran.stderr

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield run


@pytest.fixture(scope="module")
def original(mig: Callable[..., str], asked: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case file."""
    file = tmp_path_factory.mktemp("case") / "case.zip"
    mig("case", "new", "intruder-7")
    mig("case", "add", "intruder-7", asked)
    mig("case", "note", "intruder-7", "first seen on `web1` <b>")
    mig("case", "export", "intruder-7", str(file))
    return file


@pytest.fixture
def exported(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copy(original, tmp_path / "case.zip"))


def verified(file: Path) -> tuple[int, list[str]]:
    """Status and lines of ``mig case verify`` for somebody with no settings, no keys and no platform."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(file.parent), "GNUPGHOME": str(file.parent / "none")}
    ran = subprocess.run(
        [program("mig"), "case", "verify", str(file)], env=environment, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout.splitlines()


def rewritten(file: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The case file with another content of one member."""
    with zipfile.ZipFile(file) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(file, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)
    return file


def test_a_case_file_says_who_asked_and_who_answered(exported: Path, asked: str) -> None:
    status, lines = verified(exported)

    assert status == 0
    assert {line.split()[0] for line in lines} == {"good"}
    assert sum(f"to {asked}: signed by this agent: success" in line for line in lines) == len(ENDPOINTS)
    assert any("is signed by" in line and asked in line for line in lines)
    assert any("exported and signed by" in line for line in lines)


def test_a_case_file_can_be_read_by_people(exported: Path, asked: str) -> None:
    with zipfile.ZipFile(exported) as archive:
        report = archive.read("report.md").decode()
        rows = list(csv.DictReader(io.StringIO(archive.read(f"rows/{asked}.csv").decode())))

    assert "# Case intruder\\-7" in report
    assert "first seen on \\`web1\\` \\<b\\>" in report
    assert "4 agents were asked: 4 success. Found something: 4." in report
    assert {one["agent"] for one in rows} == set(ENDPOINTS)


def changed_answer(lines: bytes) -> bytes:
    documents = [json.loads(line) for line in lines.splitlines()]
    documents[0]["found"] = False
    return b"\n".join(json.dumps(one).encode() for one in documents) + b"\n"


def swapped_answers(lines: bytes) -> bytes:
    first, second, *rest = (json.loads(line) for line in lines.splitlines())
    first["proof"], second["proof"] = second["proof"], first["proof"]
    return b"\n".join(json.dumps(one).encode() for one in (first, second, *rest)) + b"\n"


def changed_question(document: bytes) -> bytes:
    return document.replace(b"^hostname$", b"^shadow$")


@pytest.mark.parametrize("change", [changed_answer, swapped_answers, changed_question])
def test_what_was_changed_in_a_case_file_is_found_and_nothing_else_is_hidden(
    change: Callable[[bytes], bytes], exported: Path, asked: str
) -> None:
    member = f"questions/{asked}.json" if change is changed_question else f"answers/{asked}.jsonl"
    rewritten(exported, member, change)

    status, lines = verified(exported)

    wrong = [line for line in lines if line.startswith("WRONG")]
    assert status == 1
    assert any("is not what the manifest says" in line for line in wrong)
    if change is changed_answer:
        assert sum("shows another verdict" in line for line in wrong) == 1
        assert sum("signed by this agent" in line for line in lines) == len(ENDPOINTS) - 1
    if change is changed_question:
        assert any(f"question {asked}" in line for line in wrong)


def test_an_answer_that_was_taken_out_is_missed(exported: Path, asked: str) -> None:
    rewritten(exported, f"answers/{asked}.jsonl", lambda lines: b"".join(lines.splitlines(keepends=True)[1:]))

    status, lines = verified(exported)

    assert status == 1
    assert any("1 of 4 agents that were asked are not in the file" in line for line in lines)


def test_what_has_no_business_in_a_case_file_is_not_touched(exported: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported, "a") as archive:
        archive.writestr("../outside.txt", b"x")

    status, lines = verified(exported)

    assert status == 1
    assert any("does not belong into a case file" in line for line in lines)
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_case_shows_what_it_has_and_its_name_is_given_once(
    mig: Callable[..., str], original: Path, asked: str
) -> None:
    shown = mig("case", "show", "intruder-7")
    listed = mig("cases")

    again = mig("case", "new", "intruder-7", status=1)
    twice = mig("case", "export", "intruder-7", str(original), status=1)

    assert asked in shown
    assert "first seen on" in shown
    assert "intruder-7" in listed
    assert "there is a case intruder-7 already" in again
    assert "nothing was changed" in twice


def test_what_the_platform_has_forgotten_is_exported_as_it_was_collected(
    mig: Callable[..., str], asked: str, tmp_path: Path
) -> None:
    mig("case", "new", "old")
    mig("case", "add", "old", asked)
    forgotten = "0197f9f0-5f5c-7a53-b1de-0b6fbd4f1f2c"
    folder = Path(os.environ["XDG_DATA_HOME"]) / "mig" / "cases" / "old"
    for place in (folder / "case.json", *folder.glob("questions/*"), *folder.glob("answers/*")):
        text = place.read_text().replace(asked, forgotten).replace('"completed"', '"inflight"')
        place.unlink()
        Path(str(place).replace(asked, forgotten)).write_text(text)

    mig("case", "export", "old", str(tmp_path / "old.zip"))

    with zipfile.ZipFile(tmp_path / "old.zip") as archive:
        assert f"answers/{forgotten}.jsonl" in archive.namelist()
        assert "It had not ended when it was collected" in archive.read("report.md").decode()


def test_a_timeline_has_what_timesketch_requires(mig: Callable[..., str], original: Path, asked: str) -> None:
    events = [json.loads(line) for line in mig("timeline", "intruder-7").splitlines()]
    table = list(csv.DictReader(io.StringIO(mig("timeline", asked, "--csv"))))

    assert len(events) == len(table) == len(ENDPOINTS)
    first: dict[str, Any] = events[0]
    assert {"message", "datetime", "timestamp_desc"} <= set(first)
    moment = datetime.fromisoformat(first["datetime"])
    assert first["timestamp"] == round(moment.timestamp() * 1_000_000)
    assert {one["agent"] for one in table} == set(ENDPOINTS)
    assert original.exists()
