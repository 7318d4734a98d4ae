"""What agents refuse, and what needs two investigators: with agents that decide by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, Site
from mig_core.testing.colleague import Colleague, colleague
from mig_core.testing.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SMALL = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$")
STRICT = ENDPOINTS[0]
"""The endpoint whose own ACL asks for more than the platform's copy says."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("trust"), "https")


@pytest.fixture(scope="module")
def second(site: Site) -> Iterator[Colleague]:
    with colleague(site) as person:
        yield person


def acl(minimum: int, *fingerprints: str) -> str:
    people = {f"person {one[:8]}": {"fingerprint": one, "weight": 1} for one in fingerprints}
    return json.dumps({"default": {"minimumweight": minimum, "investigators": people}})


@pytest.fixture(scope="module")
def fleet(site: Site, second: Colleague) -> Iterator[Fleet]:
    """Two signatures are needed everywhere; on one endpoint even they do not suffice."""
    with Platform(site) as platform:
        first = platform.signer.fingerprint
        (site.root / "keys" / "second.asc").write_bytes(second.public_key)
        (site.root / "acl.json").write_text(acl(2, first, second.fingerprint), encoding="utf-8")
        (site.root / "strict.json").write_text(acl(3, first, second.fingerprint), encoding="utf-8")
        platform.processes.end("api", signal.SIGTERM)
        platform.start_api()
        ready = Fleet(platform)
        added = ready.mig("investigator", "add", "Second", str(site.root / "keys" / "second.asc"))
        assert added.returncode == 0, added.stderr
        os.environ["MIG_AGENT_TRUST_ACL"] = str(site.root / "strict.json")
        try:
            platform.start_agent(STRICT)
        finally:
            del os.environ["MIG_AGENT_TRUST_ACL"]
        platform.start_agents(ENDPOINTS[1:])
        platform.wait_for_agents([STRICT])
        yield ready


@pytest.fixture(scope="module")
def pending(fleet: Fleet) -> str:
    """An action that one investigator has signed."""
    asked = fleet.mig(*SMALL, "-e", "300s")
    assert "needs weight 2, has 1" in asked.stderr
    assert asked.returncode == exit_codes.INCOMPLETE
    (action,) = json.loads(fleet.mig("actions", "--state", "pending", "--json").stdout)
    return str(action["id"])


def test_an_action_with_one_signature_waits_and_reaches_nobody(fleet: Fleet, pending: str) -> None:
    action = fleet.action(pending)

    assert (action["state"], action["targeted"]) == ("pending", 0)


def test_the_second_investigator_sees_what_is_to_be_signed_before_signing(second: Colleague, pending: str) -> None:
    shown = second.mig("action", "approve", pending)

    assert shown.returncode == exit_codes.ERROR
    assert json.loads(shown.stdout)["operations"][0]["module"] == "file"
    assert "4 agents" in shown.stderr
    assert "nothing was signed" in shown.stderr


def test_with_the_second_signature_it_runs_and_an_endpoint_with_a_stricter_acl_refuses(
    fleet: Fleet, second: Colleague, pending: str
) -> None:
    approved = second.mig("action", "approve", pending, "--yes")

    assert approved.returncode == 0, approved.stderr
    ended = fleet.ended(pending)
    assert ended["counts"] == {"success": len(ENDPOINTS) - 1, "refused": 1}
    why = fleet.mig("why", pending, STRICT).stdout
    assert why.startswith(f"{STRICT}: refused")
    assert "needs weight 3, has 2" in why


def test_two_people_sign_a_file_and_one_of_them_sends_it(fleet: Fleet, second: Colleague, tmp_path: Path) -> None:
    file = tmp_path / "question.json"
    file.write_text(fleet.mig(*SMALL, "-s", "-e", "300s").stdout)

    signed = second.mig("sign", str(file), "--yes")
    sent = fleet.mig("send", str(file), "--jsonl", "--show", "all")

    assert signed.returncode == exit_codes.ALL_ANSWERED, signed.stderr
    assert sorted(json.loads(line)["state"] for line in sent.stdout.splitlines()) == ["refused", *["success"] * 3]
    assert sent.returncode == exit_codes.INCOMPLETE  # the stricter endpoint asks for more


def test_the_ledger_of_an_endpoint_tells_its_owner_what_was_asked_and_by_whom(
    fleet: Fleet, second: Colleague, pending: str
) -> None:
    fleet.ended(pending)
    settings = fleet.platform.site.root / "agents" / f"{ENDPOINTS[1]}.toml"

    log = subprocess.run(
        [program("mig-agent"), "--config", str(settings), "log"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert log.returncode == 0, log.stderr
    assert pending in log.stdout
    assert second.fingerprint in log.stdout


def test_a_disabled_investigator_loses_access_at_once(fleet: Fleet, second: Colleague) -> None:
    assert second.mig("agents").returncode == 0

    fleet.mig("investigator", "disable", second.fingerprint)

    assert second.mig("agents").returncode == exit_codes.ERROR
    fleet.mig("investigator", "enable", second.fingerprint)
