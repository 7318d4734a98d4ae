"""An investigator's key and agents' tokens are exchanged while agents work: docs/rotation.md, tried."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.testing.colleague import Colleague, colleague
from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.fleet import Fleet

https = pytest.mark.parametrize("fleet_relay", ["https"], indirect=True, scope="session")
SMALL = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$")


@pytest.fixture
def second(fleet: Fleet) -> Iterator[Colleague]:
    """The key that comes after the first one; the fleet's files are as they were afterwards."""
    root = fleet.platform.site.root
    acl = (root / "acl.json").read_bytes()
    try:
        with colleague(fleet.platform.site) as person:
            yield person
    finally:
        (root / "acl.json").write_bytes(acl)
        (root / "keys" / "second.asc").unlink(missing_ok=True)
        look_now(fleet)


def look_now(fleet: Fleet) -> None:
    """Agents look at their files at once, as `systemctl reload` makes them do; by themselves it takes some seconds."""
    for name in ENDPOINTS:
        os.kill(fleet.platform.processes.pid(name), signal.SIGHUP)


def listed(ran_out: str) -> set[str]:
    return {one["name"] for one in json.loads(ran_out)}


@https
def test_a_new_key_is_obeyed_and_the_old_one_is_not_without_any_restart(fleet: Fleet, second: Colleague) -> None:
    root = fleet.platform.site.root
    pids = [fleet.platform.processes.pid(name) for name in ENDPOINTS]
    key = root / "keys" / "second.asc"
    before = fleet.mig("agents", "--json")
    told = {one["environment"]["keyring"] for one in json.loads(before.stdout)}

    key.write_bytes(second.public_key)
    acl = json.loads((root / "acl.json").read_text())
    acl["default"]["investigators"]["Second"] = {"fingerprint": second.fingerprint, "weight": 1}
    (root / "acl.json").write_text(json.dumps(acl))
    added = fleet.mig("investigator", "add", "Second", str(key))
    look_now(fleet)
    assert added.returncode == 0, added.stderr
    # mig-api's own copy of the ACL is the same file.
    eventually(lambda: listed(fleet.mig("agents", "--acl-differs", "--json").stdout) == set())
    asked = second.mig(*SMALL, "--show", "all", "--json")

    states = {one["agentname"]: one["state"] for one in json.loads(asked.stdout)["answers"]}
    assert states == dict.fromkeys(ENDPOINTS, "success"), asked.stderr
    now = {one["environment"]["keyring"] for one in json.loads(fleet.mig("agents", "--json").stdout)}
    assert len(told) == len(now) == 1 and told != now

    key.unlink()
    refused = second.mig(*SMALL, "--show", "all", "--json")
    removed = fleet.mig("investigator", "remove", second.fingerprint, "--yes")

    answers = json.loads(refused.stdout)["answers"]
    assert {(one["agentname"], one["state"]) for one in answers} == {(name, "refused") for name in ENDPOINTS}
    assert removed.returncode == 0, removed.stderr
    assert second.mig("agents").returncode != 0
    assert [fleet.platform.processes.pid(name) for name in ENDPOINTS] == pids


@https
def test_an_agent_whose_token_is_renewed_has_another_and_answers_on(fleet: Fleet) -> None:
    token = fleet.platform.site.root / "agents" / HOLDER / "relay.token"
    before = token.read_bytes()
    renewed = fleet.mig("agent", "renew-token", HOLDER, "--yes")
    assert renewed.returncode == exit_codes.ALL_ANSWERED, renewed.stderr

    eventually(lambda: token.exists() and token.read_bytes() != before)
    answers = fleet.ask(*SMALL[:2], f"name = '{HOLDER}'", *SMALL[3:])
    assert answers[HOLDER]["state"] == "success"


@pytest.fixture
def newcomer(fleet: Fleet) -> Iterator[str]:
    """An agent that a secret with a tag admits; it is gone afterwards."""
    name, site = "newcomer", fleet.platform.site
    added = fleet.mig("enrolment", "add", "wave1", "--uses", "1", "--tag", "wave=1")
    secret = site.root / "wave1.secret"
    secret.write_text(added.stdout, encoding="ascii")
    secret.chmod(0o600)
    settings = site.write_agent_settings(name, "")
    text = settings.read_text(encoding="utf-8").replace("enrolment-secret", secret.name)
    settings.write_text(text.replace('heartbeat_interval = "30s"', 'heartbeat_interval = "1h"'), encoding="utf-8")
    site.endpoint_folder(name).mkdir(parents=True, exist_ok=True)
    argv = [program("mig-agent"), "--config", str(settings)]
    fleet.platform.processes.start(name, argv, cwd=site.endpoint_folder(name))
    yield name
    fleet.platform.processes.end(name, signal.SIGTERM)
    fleet.mig("agent", "retire", name, "--yes")


@https
def test_an_agents_first_heartbeat_has_the_tags_of_the_secret_that_admitted_it(fleet: Fleet, newcomer: str) -> None:
    def tags() -> dict[str, Any] | None:
        found = [one["tags"] for one in json.loads(fleet.mig("agents", "--json").stdout) if one["name"] == newcomer]
        return found[0] if found and "wave" in found[0] else None

    # Its second heartbeat would come after an hour.
    assert eventually(tags, seconds=60) == {"environment": "demo", "wave": "1"}
