"""What real endpoints answered, worked with: rows, stacks, and who stands behind them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.demo.site import ENDPOINTS, HOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.testing.fleet import Fleet

FILES = ("file", "-t", "all", "-path", "etc", "-name", ".", "-returnsha256")


@pytest.fixture(scope="module")
def asked(fleet: Fleet) -> str:
    """An action that all four agents have answered."""
    action = fleet.detach(*FILES)
    fleet.ended(action)
    return action


def test_what_is_on_one_machine_only_is_one_command(fleet: Fleet, asked: str) -> None:
    ran = fleet.mig("results", asked, "--stack", "file", "--rare", "1", "--csv")

    (row,) = csv.DictReader(io.StringIO(ran.stdout))
    assert row == {
        "file": "etc/mig-demo",
        "endpoints": "1",
        "share": "25.0%",
        "rows": "1",
        "first": HOLDER,
        "last": HOLDER,
    }
    assert f"{len(ENDPOINTS)} of {len(ENDPOINTS)} endpoints answered" in ran.stderr


def test_rows_are_chosen_sorted_and_cut(fleet: Fleet, asked: str) -> None:
    ran = fleet.mig(
        *("action", "results", asked, "--where", "size > 1 AND file LIKE 'etc/%'", "--columns", "file,size"),
        *("--sort", "-size,agent", "--limit", "2", "--jsonl"),
    )

    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert rows[0]["agentname"] == HOLDER
    assert [set(one["row"]) for one in rows] == [{"file", "size"}] * 2
    assert rows[0]["row"]["size"] >= rows[1]["row"]["size"]


def test_a_question_is_stacked_as_soon_as_the_answers_are_there(fleet: Fleet) -> None:
    ran = fleet.mig(*FILES, "--stack", "file", "--jsonl")

    values = {json.loads(line)["value"]["file"]: json.loads(line)["endpoints"] for line in ran.stdout.splitlines()}
    assert ran.returncode == exit_codes.ALL_ANSWERED
    assert values["etc/mig-demo"] == 1
    assert values["etc/motd"] == len(ENDPOINTS)


def test_a_column_that_was_not_asked_for_is_not_taken_for_one_without_values(fleet: Fleet) -> None:
    action = fleet.detach("process", "-t", HOLDER, "--column", "pid", "--column", "exe")
    fleet.ended(action)

    for words in (("--where", "user = 'root'"), ("--stack", "sha256")):
        ran = fleet.mig("results", action, *words)
        assert ran.returncode == exit_codes.USAGE, ran.stdout + ran.stderr
        assert "no column" in ran.stderr
    assert "pid" in fleet.mig("results", action, "--where", "pid > 0", "--jsonl").stdout


def test_groups_of_endpoints_are_apart(fleet: Fleet, asked: str) -> None:
    ran = fleet.mig("results", asked, "--group-by", "agent", "--json")

    document = json.loads(ran.stdout)
    assert [one["group"]["agent"] for one in document["stack"]].count(HOLDER) == 1
    assert {one["answered"] for one in document["stack"]} == {1}
    assert document["account"]["answered"] == len(ENDPOINTS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--where", "sise > 1"), "did you mean size?"),
        (("--stack", "sha"), "did you mean sha256?"),
        (("--sort", "weight"), "there is no column 'weight'"),
        (("--rare", "3"), "goes with --stack"),
        (("--stack", "file", "--columns", "size"), "without --columns"),
        (("--stack", "file", "--verify"), "--verify checks whole answers"),
        (("--json", "--csv"), "choose one of"),
        (("--group-by", "a.b"), "must be a tag"),
    ],
)
def test_options_that_cannot_be_understood_end_with_status_2(
    fleet: Fleet, asked: str, options: tuple[str, ...], said: str
) -> None:
    ran = fleet.mig("results", asked, *options)

    assert ran.returncode == exit_codes.USAGE
    assert said in ran.stderr


def test_a_column_that_there_is_not_is_said_before_anybody_is_asked(fleet: Fleet) -> None:
    ran = fleet.mig(*FILES, "--stack", "sha")

    assert ran.returncode == exit_codes.USAGE
    assert "did you mean sha256?" in ran.stderr


def test_the_same_question_then_and_now(fleet: Fleet, asked: str) -> None:
    etc = fleet.platform.site.endpoint_folder(HOLDER) / "etc"
    (etc / "added").write_text("new\n")
    try:
        again = fleet.mig("action", "repeat", asked, "--detach").stdout.strip()
        fleet.ended(again)
    finally:
        (etc / "added").unlink()

    ran = fleet.mig("diff", asked, "last", "--columns", "file,size", "--csv")

    (row,) = csv.DictReader(io.StringIO(ran.stdout))
    assert (row["agent"], row["change"], row["certain"], row["file"]) == (HOLDER, "new", "true", "etc/added")
    assert f"on 1 of {len(ENDPOINTS)} endpoints that answered both" in ran.stderr
    by_group = fleet.mig("diff", again, "--by", "agent", "--columns", "file", "--jsonl")
    values = [json.loads(line)["value"]["file"] for line in by_group.stdout.splitlines()]
    assert values == ["etc/added", "etc/mig-demo"]


def test_what_was_asked_is_asked_of_those_who_were_not(fleet: Fleet, asked: str) -> None:
    fresh = fleet.mig("action", "repeat", asked, "--new-agents")
    one = fleet.mig("action", "repeat", asked, "-t", HOLDER, "--stack", "file", "--jsonl")

    assert "no agent matches the target" in fresh.stderr
    assert {json.loads(line)["first"] for line in one.stdout.splitlines()} == {HOLDER}


def test_one_endpoint_s_history_has_every_question(fleet: Fleet, asked: str) -> None:
    ran = fleet.mig("history", HOLDER, "--jsonl", "--limit", "0")

    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert asked in {one["action"] for one in lines}
    assert [one["time"] for one in lines] == sorted((one["time"] for one in lines), reverse=True)


def test_actions_and_agents_are_named_by_few_letters(fleet: Fleet, asked: str) -> None:
    latest = fleet.detach(*FILES)
    fleet.ended(latest)

    shown = [json.loads(fleet.mig("action", "show", one, "--json").stdout)["id"] for one in ("last", asked[:20])]
    before = json.loads(fleet.mig("action", "show", "-2", "--json").stdout)["id"]
    misspelt = fleet.mig("why", "last", f"x{HOLDER}")

    assert shown[0] == latest
    assert shown[1] == asked or asked[:20] == latest[:20]
    assert before not in ("", latest)
    assert f"did you mean {HOLDER}?" in misspelt.stderr
    assert "no action's id begins with" in fleet.mig("results", "ffff").stderr


def test_a_question_is_signed_here_and_sent_there(fleet: Fleet, tmp_path: Path) -> None:
    signed = tmp_path / "question.json"
    signed.write_text(fleet.mig(*FILES, "-s").stdout)

    again = fleet.mig("sign", str(signed), "--yes")
    sent = fleet.mig("send", str(signed), "--jsonl", "--show", "all")
    twice = fleet.mig("send", str(signed))

    assert "has your signature" in again.stderr
    assert (sent.returncode, len(sent.stdout.splitlines())) == (exit_codes.ALL_ANSWERED, len(ENDPOINTS))
    assert "exists already" in twice.stderr


def test_waiting_ends_when_one_has_found_something(fleet: Fleet) -> None:
    ran = fleet.mig(*FILES, "--wait", "found:1", "--jsonl")

    assert ran.returncode == exit_codes.ALL_ANSWERED
    assert len(ran.stdout.splitlines()) == 1
    assert "1 found something" in ran.stderr
