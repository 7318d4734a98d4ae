"""A signed question goes out, real answers come back: over both relays, as an investigator types it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING

import psycopg

from mig_core.cli import exit_codes
from mig_core.cli.demo.site import CONTENT, ENDPOINTS, HOLDER

if TYPE_CHECKING:
    from mig_core.testing.fleet import Fleet

BY_CONTENT = ("file", "-t", "all", "-path", "etc", "-content", "DEMOCONTENT", "-size", "<100k", "-maxdepth", "2")


def test_all_four_agents_answer_and_one_finds_the_file(fleet: Fleet) -> None:
    answers = fleet.ask(*BY_CONTENT)

    assert set(answers) == set(ENDPOINTS)
    assert [name for name, one in answers.items() if one["found"]] == [HOLDER]
    assert {one["state"] for one in answers.values()} == {"success"}


def test_the_same_file_is_found_by_its_hash(fleet: Fleet) -> None:
    digest = hashlib.sha256(CONTENT.encode("ascii")).hexdigest()

    ran = fleet.mig("file", "-t", "all", "-path", "etc", "-maxdepth", "0", "-sha2", digest)

    assert ran.returncode == exit_codes.ALL_ANSWERED
    (line,) = ran.stdout.splitlines()
    assert line.startswith(f"{HOLDER} etc/mig-demo ")


def test_both_spellings_of_an_option_ask_the_same(fleet: Fleet) -> None:
    single = fleet.mig(*BY_CONTENT)
    double = fleet.mig(*(f"-{word}" if word[0] == "-" and len(word) > 2 else word for word in BY_CONTENT))

    assert single.stdout == double.stdout != ""


def test_notfound_shows_the_other_three(fleet: Fleet) -> None:
    ran = fleet.mig(*BY_CONTENT, "-show", "notfound", "--jsonl")

    names = sorted(json.loads(line)["agentname"] for line in ran.stdout.splitlines())
    assert names == sorted(set(ENDPOINTS) - {HOLDER})


def test_csv_has_a_header_and_a_line_a_row(fleet: Fleet) -> None:
    ran = fleet.mig(*BY_CONTENT, "--csv")

    (row,) = csv.DictReader(io.StringIO(ran.stdout))
    assert (row["agent"], row["state"], row["found"], row["complete"]) == (HOLDER, "success", "true", "true")
    assert row["file"].startswith("etc/")
    assert row["size"].isdigit()


def test_exit_found_works_like_grep(fleet: Fleet) -> None:
    found = fleet.mig(*BY_CONTENT, "--exit-found")
    nothing = fleet.mig("file", "-t", "all", "-path", "etc", "-name", "^no-such-file$", "--exit-found")

    assert (found.returncode, nothing.returncode) == (exit_codes.ALL_ANSWERED, exit_codes.ERROR)


def test_a_target_reaches_only_those_it_names(fleet: Fleet) -> None:
    answers = fleet.ask("file", "-t", "migagenthost*", "-path", "etc", "-name", "^hostname$")

    assert set(answers) == set(ENDPOINTS) - {"migworkstation"}


def test_a_later_question_goes_to_those_where_an_earlier_one_found_something(fleet: Fleet) -> None:
    earlier = json.loads(fleet.mig(*BY_CONTENT, "--json").stdout)["action"]["id"]

    answers = fleet.ask("file", "-t", "all", "-target-found", earlier, "-path", "etc", "-name", "^hostname$")

    assert set(answers) == {HOLDER}


def test_a_target_that_matches_nobody_says_so(fleet: Fleet) -> None:
    ran = fleet.mig("file", "-t", "name = 'nobody-here'", "-path", "etc", "-name", "x")

    assert ran.returncode == exit_codes.INCOMPLETE
    assert "no agent matches" in ran.stderr


def test_a_dry_run_sends_nothing_and_shows_bytes_and_targets(fleet: Fleet) -> None:
    before = fleet.mig("actions", "--json").stdout

    ran = fleet.mig(*BY_CONTENT, "--dry-run")

    assert ran.returncode == exit_codes.ALL_ANSWERED
    assert json.loads(ran.stdout)["operations"][0]["module"] == "file"
    assert HOLDER in ran.stderr
    assert "needs weight 1" in ran.stderr
    assert fleet.mig("actions", "--json").stdout == before


def test_a_target_with_an_error_is_refused_with_its_position(fleet: Fleet) -> None:
    ran = fleet.mig("file", "-t", "name = 'x'); DROP TABLE agents; --", "-path", "etc", "-name", "x")

    assert ran.returncode == exit_codes.USAGE
    assert "at position 11" in ran.stderr
    assert len(fleet.ask(*BY_CONTENT)) == len(ENDPOINTS)


def test_why_explains_one_line_of_the_books(fleet: Fleet) -> None:
    action = json.loads(fleet.mig(*BY_CONTENT, "--json").stdout)["action"]["id"]

    ran = fleet.mig("why", action, HOLDER)

    assert ran.stdout.startswith(f"{HOLDER}: success")
    assert "operation 1: found" in ran.stdout


def test_results_and_follow_come_back_to_an_action_that_has_ended(fleet: Fleet) -> None:
    action = json.loads(fleet.mig(*BY_CONTENT, "--json").stdout)["action"]["id"]

    results = fleet.mig("action", "results", action)
    followed = fleet.mig("action", "follow", action)

    assert results.stdout == followed.stdout != ""


def test_answers_are_checked_against_what_agents_signed(fleet: Fleet) -> None:
    action = json.loads(fleet.mig(*BY_CONTENT, "--json").stdout)["action"]["id"]

    plain = fleet.mig("results", action, "--show", "all")
    checked = fleet.mig("results", action, "--show", "all", "--verify")

    assert checked.returncode == exit_codes.ALL_ANSWERED, checked.stderr
    assert checked.stdout == plain.stdout != ""
    assert f"{len(ENDPOINTS)} answers checked: as signed by the agent" in checked.stderr
    assert "the question is signed by" in checked.stderr
    assert ": checked" in checked.stderr


def test_a_changed_answer_is_said_and_not_shown(fleet: Fleet) -> None:
    action = json.loads(fleet.mig(*BY_CONTENT, "--json").stdout)["action"]["id"]
    with psycopg.connect(fleet.platform.postgres.url(), autocommit=True) as database:
        database.execute("ALTER TABLE commands DISABLE TRIGGER USER")
        changed = "UPDATE commands SET found = false, results = %s WHERE action_id = %s AND agent_name = %s"
        database.execute(changed, ("[]", action, HOLDER))
        database.execute("ALTER TABLE commands ENABLE TRIGGER USER")

    ran = fleet.mig("results", action, "--show", "all", "--verify")

    assert ran.returncode == exit_codes.ERROR
    assert f"WRONG  {HOLDER}" in ran.stderr
    assert HOLDER not in ran.stdout
    assert f"{len(ENDPOINTS) - 1} answers checked" in ran.stderr


def test_an_action_file_of_the_original_is_asked_too(fleet: Fleet) -> None:
    old = {
        "name": "demo file",
        "target": "all",
        "syntaxversion": 2,
        "operations": [
            {
                "module": "file",
                "parameters": {
                    "searches": {"s1": {"paths": ["etc"], "contents": ["DEMOCONTENT"], "options": {"matchall": True}}}
                },
            }
        ],
    }
    path = fleet.platform.site.root / "old-action.json"
    path.write_text(json.dumps(old), encoding="utf-8")

    ran = fleet.mig("-i", str(path))

    assert ran.returncode == exit_codes.ALL_ANSWERED, ran.stderr
    assert ran.stdout.startswith(f"{HOLDER} etc/mig-demo ")


def test_agents_and_dashboard_show_the_fleet(fleet: Fleet) -> None:
    agents = fleet.mig("agents")
    dashboard = json.loads(fleet.mig("dashboard", "--json").stdout)

    assert all(name in agents.stdout for name in ENDPOINTS)
    assert dashboard["agents"]["online"] == len(ENDPOINTS)
