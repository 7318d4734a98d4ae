"""The platform log: nobody rewrites it, months go whole, and it is read by whoever may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from mig_core.cli import admin, main
from mig_core.errors import ApiError
from mig_core.testing.api_site import SampleAgent

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.testing.api_site import ApiSite

NOTE = "SELECT mig_log_add('test.one', '', 'x', '', '{}')"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE platform_log SET who = 'nobody'",
        "DELETE FROM platform_log",
        "TRUNCATE platform_log",
        "TRUNCATE {month}",
        "DELETE FROM {month}",
        "UPDATE {month} SET detail = '{{}}'",
    ],
)
def test_the_log_is_not_rewritten_by_its_owner_either(store_url: str, statement: str) -> None:
    with psycopg.connect(store_url) as connection:
        connection.execute(NOTE)
        connection.commit()
        ((month,),) = connection.execute("SELECT tableoid::regclass::text FROM platform_log").fetchall()

        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added to"):
            connection.execute(statement.format(month=month))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO platform_log SELECT * FROM platform_log",
        "UPDATE platform_log SET who = 'nobody'",
        "DELETE FROM platform_log",
        "ALTER TABLE platform_log DISABLE TRIGGER ALL",
        "SELECT mig_forget_log(now())",
        "SELECT mig_log_month(now())",
    ],
)
@pytest.mark.parametrize("role", ["api_store_url", "scheduler_store_url"])
def test_no_program_of_the_platform_may_touch_what_is_in_it(
    request: pytest.FixtureRequest, role: str, statement: str
) -> None:
    with (
        psycopg.connect(request.getfixturevalue(role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_old_months_go_whole_and_the_log_says_so(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute(NOTE)
        for month in ("2020-12-05", "2021-01-05"):
            connection.execute("SELECT mig_log_month(%s::timestamptz)", (month,))
            connection.execute(
                "INSERT INTO platform_log SELECT %s::timestamptz, id, what, who, who_name, address, login, subject,"
                " subject_name, detail FROM platform_log WHERE what = 'test.one' ORDER BY happened_at DESC LIMIT 1",
                (month,),
            )

        status = admin.main(["log", "forget", "--before", "2021-01-15", "--url", store_url])

        left = connection.execute("SELECT what, happened_at < '2021-02-01' FROM platform_log ORDER BY happened_at")
        assert left.fetchall() == [("test.one", True), ("test.one", False), ("log.forgotten", False)]
    assert (status, capsys.readouterr().err) == (0, "1 months are gone\n")


def test_a_login_that_failed_is_in_the_log_with_its_address_and_a_flood_of_them_is_counted(
    api_site: ApiSite,
) -> None:
    alice = api_site.first_investigator()
    body = {"secret": "guess", "name": "Mallory", "publickey": "-"}
    for _ in range(3):
        api_site.ask("POST", "/api/v1/bootstrap", body={**body})

    failed = list(alice.platform_log(what=["bootstrap.failed"]))
    ours = list(alice.platform_log(what=["login", "investigator"]))

    assert [(one["subject"], one["address"]) for one in failed] == [("Mallory", "127.0.0.1")] * 3
    assert [(one["what"], one["whoname"], one["address"]) for one in ours] == [
        ("login", "Alice", "127.0.0.1"),
        ("investigator.added", "", "127.0.0.1"),
    ]


def test_the_log_is_for_those_who_may_read_it(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    bob = api_site.client(api_site.keys.bob)
    alice.add_investigator("Bob", api_site.keys.bob.public_key(), ["read", "ask", "agents", "investigators"])

    with pytest.raises(ApiError) as refused:
        list(bob.platform_log())

    assert refused.value.status == 403
    assert "the permission log" in str(refused.value)


def test_a_person_asks_the_log_on_the_command_line(
    api_site: ApiSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site, "web1.example.net")
    agent.enrol()
    alice.retire_agent(agent.id)
    config = tmp_path / "config.toml"
    config.write_text(
        f'api = "{api_site.url}"\nfingerprint = "{api_site.keys.alice.fingerprint}"\n'
        f'gnupg_home = "{api_site.keys.home}"\n'
    )
    monkeypatch.setenv("MIG_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    status = main.main(["log", "--what", "agent", "--since", "1h"])
    table = capsys.readouterr().out
    main.main(
        ["log", "--what", "agent.retired", "--who", "Alice", "--subject", agent.id, "--from", "127.0.0.1", "--jsonl"]
    )
    (line,) = capsys.readouterr().out.splitlines()
    main.main(["log", "--until", "2020-01-01", "--csv"])
    nothing = capsys.readouterr().out
    wrong = main.main(["log", "--since", "yesterday"])

    assert status == 0
    rows = [row.split() for row in table.splitlines()]
    assert [(row[2], row[3]) for row in rows[1:]] == [("agent.retired", "Alice"), ("agent.admitted", "127.0.0.1")]
    assert json.loads(line)["subjectname"] == "web1.example.net"
    assert nothing.strip() == "time,what,whoname,who,address,subjectname,subject,login,detail"
    assert wrong == 2
