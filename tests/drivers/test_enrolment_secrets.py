"""Named enrolment secrets, retiring many, successors, removed investigators, ended sessions, as operators use them."""

from __future__ import annotations

import hashlib
import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main
from mig_core.domain.agent import AgentFacts, Heartbeat
from mig_core.errors import ApiError
from mig_core.testing.api_site import ENROLMENT_SECRET, SampleAgent
from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.client.client import MigClient
    from mig_core.config.server import ApiSettings
    from mig_core.domain.document import JSON
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def api_settings(api_settings: ApiSettings, tmp_path: Path) -> ApiSettings:
    """With copies of the agents' ACL and keys."""
    (tmp_path / "acl.json").write_text("{}")
    (tmp_path / "keys").mkdir()
    return replace(api_settings, acl=tmp_path / "acl.json", keys=tmp_path / "keys")


@pytest.fixture
def alice(api_site: ApiSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MigClient:
    """The first investigator; ``mig`` is hers."""
    client = api_site.first_investigator()
    config = tmp_path / "config.toml"
    home = api_site.keys.home
    config.write_text(
        f'api = "{api_site.url}"\nfingerprint = "{api_site.keys.alice.fingerprint}"\ngnupg_home = "{home}"\n'
    )
    monkeypatch.setenv("MIG_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "sessions"))
    return client


class ToldAgent(SampleAgent):
    """One that says where it runs and what it believes."""

    environment: dict[str, JSON]

    def facts(self) -> AgentFacts:
        return replace(super().facts(), environment={"os": "linux", **getattr(self, "environment", {})})


def beat(site: ApiSite, agent: SampleAgent, at: datetime) -> None:
    async def work(store: PostgresStore) -> None:
        await store.agents.beat([Heartbeat(agent.facts(), int(at.timestamp() * 1000), at)], at)

    site.platform(work)


def retire_at(site: ApiSite, agent: SampleAgent, at: datetime) -> None:
    async def work(store: PostgresStore) -> None:
        await store.agents.retire(agent.id, at)

    site.platform(work)


def polls(site: ApiSite) -> int:
    """Agents that wait at mig-api."""
    found = re.search(r"^mig_poll_waiters (\d+)", site.ask("GET", "/metrics").body.decode(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_named_secret_admits_so_many_agents_and_gives_them_what_it_gives(
    api_site: ApiSite, alice: MigClient, capsys: Captured
) -> None:
    words = ("berlin", "--uses", "2", "--expires", "1h", "--tag", "site=berlin", "--relay", "amqps://broker:5671/mig")
    assert main(["enrolment", "add", *words]) == exit_codes.ALL_ANSWERED
    secret = capsys.readouterr().out.strip()
    agents = [SampleAgent(api_site, f"web{number}") for number in range(3)]

    answers = [one.enrol(secret=secret) for one in agents]
    again = agents[0].enrol(secret=secret)

    assert [one.status for one in answers] == [200, 200, 403]
    assert answers[0].json["tags"] == {"site": "berlin"}
    assert answers[0].json["relayurl"] == "amqps://broker:5671/mig"
    assert "berlin is used up" in answers[2].json["detail"]
    assert again.status == 200, "who is admitted is not asked for a secret any more"
    assert again.json["tags"] == {"site": "berlin"}
    assert alice.agent(agents[0].id)["enrolledwith"] == "berlin"
    (settings, listed) = alice.enrolment_secrets()
    assert (settings["name"], settings["state"]) == ("(settings)", "usable")
    assert (listed["name"], listed["state"], listed["used"], listed["usesleft"]) == ("berlin", "used up", 2, 0)
    main(["enrolment", "list"])
    assert secret not in capsys.readouterr().out + json.dumps(alice.enrolment_secrets())
    assert [one["what"] for one in alice.platform_log(what=["enrolment.added"])] == ["enrolment.added"]


def test_a_secret_is_kept_as_a_digest_and_admits_nobody_after_it_was_revoked_or_has_expired(
    api_site: ApiSite, alice: MigClient
) -> None:
    revoked = alice.add_enrolment_secret("old")["secret"]
    expiring = alice.add_enrolment_secret("short", expires=f"{datetime.now(UTC) + timedelta(minutes=2):%FT%TZ}")
    before = SampleAgent(api_site, "before")
    assert before.enrol(secret=revoked).status == 200

    assert main(["enrolment", "revoke", "old"]) == exit_codes.ALL_ANSWERED
    refused = SampleAgent(api_site, "after").enrol(secret=revoked)
    api_site.offset = timedelta(minutes=4)
    late = SampleAgent(api_site, "late").enrol(secret=expiring["secret"])

    assert refused.status == late.status == 403
    assert "was revoked" in refused.json["detail"] and "expired" in late.json["detail"]
    assert before.ask("GET", "/commands?session=s&wait=0").status == 200, "who was admitted stays"
    with pytest.raises(ApiError, match="there is, or was"):
        alice.add_enrolment_secret("old")

    async def digests(store: PostgresStore) -> list[bytes]:
        async def work(cursor: object) -> list[bytes]:
            await cursor.execute("SELECT digest FROM enrolment_secrets ORDER BY name")  # type: ignore[attr-defined]
            return [row["digest"] for row in await cursor.fetchall()]  # type: ignore[attr-defined]

        return await store._database.transaction(work)

    kept = api_site.platform(digests)
    assert kept == [hashlib.sha256(one.encode()).digest() for one in (revoked, expiring["secret"])]


def test_the_secret_of_the_settings_is_read_anew_when_its_file_changes(
    api_site: ApiSite, alice: MigClient, tmp_path: Path
) -> None:
    file = tmp_path / "enrolment-secret"

    file.write_text("another one\n")
    old, new = (SampleAgent(api_site).enrol(secret=one).status for one in (ENROLMENT_SECRET, "another one"))

    assert (old, new) == (403, 200)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"name": "x", "expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"name": "x", "uses": 0}, "uses"),
        ({"name": "x", "tags": {"a": 1}}, "tags.a"),
        ({"name": "x", "relay": "http://broker"}, "relay"),
        ({"name": "x", "relay": "amqps://me:secret@broker/mig"}, "relay"),
    ],
)
def test_a_secret_that_makes_no_sense_is_refused(api_site: ApiSite, alice: MigClient, wish: JSON, field: str) -> None:
    alice.log_in()

    answer = api_site.ask("POST", "/api/v1/enrolment-secrets", body=wish, token=alice._session.token())

    assert (answer.status, answer.json["field"]) == (400, field)


def test_agents_are_retired_by_target_and_silence_after_they_were_shown(
    api_site: ApiSite, alice: MigClient, capsys: Captured
) -> None:
    agents = [SampleAgent(api_site, f"web{number}.example.net") for number in range(3)]
    for one in agents:
        one.enrol()
    now = datetime.now(UTC)
    beat(api_site, agents[0], now - timedelta(days=100))
    beat(api_site, agents[1], now - timedelta(days=100))
    beat(api_site, agents[2], now)

    asked = main(["agent", "retire", "--not-seen", "90d", "-t", "name LIKE 'web%'"])
    shown = capsys.readouterr()
    before = [one["state"] for one in alice.agents()]
    done = main(["agent", "retire", "--not-seen", "90d", "--yes"])
    told = capsys.readouterr()

    assert asked == exit_codes.ERROR and "nobody was retired" in shown.err
    assert "web0.example.net" in shown.err and "web2.example.net" not in shown.err
    assert "retired" not in before
    assert done == exit_codes.ALL_ANSWERED and "2 agents are retired" in told.err
    assert set(told.out.split()) == {agents[0].id, agents[1].id}
    assert agents[2].ask("GET", "/commands?session=s&wait=0").status == 200
    assert agents[0].ask("GET", "/commands?session=s&wait=0").status == 401
    assert main(["agent", "retire", agents[2].id, "--not-seen", "90d"]) == exit_codes.USAGE
    assert main(["agent", "retire"]) == exit_codes.USAGE


def test_retired_agents_leave_the_lists_after_a_while_and_are_there_for_who_asks(
    api_site: ApiSite, alice: MigClient
) -> None:
    recent, old = SampleAgent(api_site, "recent"), SampleAgent(api_site, "old")
    for agent, days in ((recent, 29), (old, 31)):
        agent.enrol()
        retire_at(api_site, agent, datetime.now(UTC) - timedelta(days=days))

    assert [one["id"] for one in alice.agents()] == [recent.id]
    assert {one["id"] for one in alice.agents(states=["retired"])} == {recent.id, old.id}
    assert alice.agent(old.id)["retired"]


def test_a_machine_that_comes_back_with_a_new_key_is_shown_on_both(
    api_site: ApiSite, alice: MigClient, capsys: Captured
) -> None:
    old, new, other = ToldAgent(api_site, "web1"), ToldAgent(api_site, "web1"), ToldAgent(api_site, "web2")
    old.environment = new.environment = {"machine": "a" * 32}
    other.environment = {"machine": "b" * 32}
    for one in (old, new, other):
        one.enrol()

    assert main(["agent", "show", old.id]) == exit_codes.ALL_ANSWERED
    of_old = capsys.readouterr().out
    main(["agent", "show", new.id])
    of_new = capsys.readouterr().out

    assert f"successor: web1~{new.id}" in of_old and f"predecessor: web1 {old.id}" in of_new
    assert alice.agent(other.id)["samemachine"] == []


def test_what_an_agent_says_of_its_machine_may_be_anything(api_site: ApiSite, alice: MigClient) -> None:
    agent = ToldAgent(api_site, "odd")
    said: list[JSON] = [random.Random(7).randbytes(50_000).hex(), "\x00", ["a"], 7, None]
    for machine in said:
        agent.environment = {"machine": machine}

        assert agent.enrol().status == 200
        assert alice.agent(agent.id)["samemachine"] == []


def test_who_still_has_another_acl_or_other_keys_is_listed(
    api_site: ApiSite, alice: MigClient, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "keys" / "alice.asc").write_text("a key")
    key = hashlib.sha256(b"a key").hexdigest()
    keyring = hashlib.sha256(f"{key}\n".encode()).hexdigest()
    same, differs, silent = (ToldAgent(api_site, name) for name in ("same", "differs", "silent"))
    same.environment = {"acl": hashlib.sha256(b"{}").hexdigest(), "keyring": keyring}
    differs.environment = {"acl": "another", "keyring": keyring}
    for one in (same, differs, silent):
        one.enrol()

    main(["agents", "--acl-differs", "--json"])
    acl = capsys.readouterr()
    main(["agents", "--keyring-differs", "--json"])
    keys = capsys.readouterr()

    assert [one["name"] for one in json.loads(acl.out)] == ["differs", "silent"]
    assert "1 of 3 agents have it, 1 do not tell" in acl.err
    assert [one["name"] for one in json.loads(keys.out)] == ["silent"]


def test_an_investigator_who_was_removed_is_out_and_may_be_added_anew(
    api_site: ApiSite, alice: MigClient, tmp_path: Path, capsys: Captured
) -> None:
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["read", "ask"])
    bob = api_site.client(keys.bob)
    bob.log_in()

    asked = main(["investigator", "remove", keys.bob.fingerprint])
    assert (asked, len(alice.investigators())) == (exit_codes.ERROR, 2)
    assert main(["investigator", "remove", keys.bob.fingerprint, "--yes"]) == exit_codes.ALL_ANSWERED

    with pytest.raises(ApiError):
        list(bob.agents())
    assert [one["name"] for one in alice.investigators()] == ["Alice"]
    assert alice.investigator(keys.bob.fingerprint)["removed"], "what he asked keeps his name"
    with pytest.raises(ApiError, match="no such investigator"):
        alice.change_investigator(keys.bob.fingerprint, active=True)
    with pytest.raises(ApiError, match="last active investigator"):
        alice.remove_investigator(keys.alice.fingerprint)
    assert [one["what"] for one in alice.platform_log(what=["investigator.removed"])] == ["investigator.removed"]
    alice.add_investigator("Robert", keys.bob.public_key(), ["read"])
    assert list(api_site.client(keys.bob).agents()) == []


def test_logout_ends_the_session_here_and_with_everywhere_all_of_them(
    api_site: ApiSite, alice: MigClient, tmp_path: Path, capsys: Captured
) -> None:
    main(["agents"])
    (kept,) = (tmp_path / "sessions" / "mig").iterdir()
    token = json.loads(kept.read_text())["token"]

    assert main(["logout"]) == exit_codes.ALL_ANSWERED

    assert not kept.exists()
    assert api_site.ask("GET", "/api/v1/agents", token=token).status == 401
    assert main(["logout"]) == exit_codes.ALL_ANSWERED and "there was no session here" in capsys.readouterr().err
    elsewhere = alice._session.token()
    assert main(["logout", "--everywhere"]) == exit_codes.ALL_ANSWERED
    assert api_site.ask("GET", "/api/v1/agents", token=elsewhere).status == 401
    assert not list((tmp_path / "sessions" / "mig").iterdir())


def test_an_emptied_secret_admits_nobody_and_is_told_where_operators_look(
    api_site: ApiSite, alice: MigClient, caplog: pytest.LogCaptureFixture, capsys: Captured
) -> None:
    file = api_site.settings.enrolment_secret_file
    assert file is not None
    assert SampleAgent(api_site, "before").enrol().status == 200

    file.write_text("\n")
    refused = [SampleAgent(api_site, f"after{number}").enrol() for number in range(2)]
    listed, alarms = alice.enrolment_secrets()[0], alice.dashboard()["alarms"]
    main(["enrolment", "list"])
    file.write_text("another secret\n")
    admitted = SampleAgent(api_site, "again").enrol(secret="another secret")

    assert [one.status for one in refused] == [403, 403]
    assert (listed["name"], listed["state"], listed["used"]) == ("(settings)", "unusable", None)
    assert "not counted" in capsys.readouterr().out
    assert alarms["files_that_cannot_be_used"] == 1
    errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert len(errors) == 1 and str(file) in errors[0], "one line that names the file"
    assert admitted.status == 200
    assert "files_that_cannot_be_used" not in alice.dashboard()["alarms"]


def test_an_agent_that_another_process_retires_is_told_at_once(api_site: ApiSite) -> None:
    agent = SampleAgent(api_site, "leaving")
    agent.enrol()

    with ThreadPoolExecutor(1) as threads:
        poll = threads.submit(agent.ask, "GET", "/commands?session=s&wait=50", timeout=120)
        eventually(lambda: polls(api_site) == 1)
        retire_at(api_site, agent, datetime.now(UTC))
        answered = poll.result(timeout=60)

    assert answered.status == 401
    assert agent.ask("GET", "/commands?session=s&wait=0").status == 401, "its token is not believed any more"
