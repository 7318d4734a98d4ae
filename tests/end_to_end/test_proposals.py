"""A question that is proposed: nobody is asked before an investigator signs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mig_core.cli.demo.site import ENDPOINTS
from mig_core.client import Mig
from mig_core.domain.action import Operation
from mig_core.domain.proposal import Proposal
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON
    from mig_core.testing.fleet import Fleet

SEARCH: dict[str, JSON] = {"searches": {"s1": {"paths": ["etc"], "names": ["^hostname$"]}}}


@pytest.fixture
def mig(fleet: Fleet) -> Iterator[Mig]:
    with Mig.connect(fleet.platform.site.client_settings) as mig:
        yield mig


def proposed(mig: Mig, name: str) -> str:
    """The id of a fresh proposal."""
    proposal = Proposal(name, "all", (Operation("file", SEARCH),), "a colleague\x1b[31m asked", "playbook 7")
    return str(mig.client.propose(proposal)["id"])


def test_a_proposal_is_asked_when_somebody_has_signed_it(fleet: Fleet, mig: Mig) -> None:
    identifier = proposed(mig, "proposed hostnames")
    before = [one.name for one in mig.questions(limit=50)]
    listed = fleet.mig("proposals")

    signed = fleet.mig("proposal", "sign", identifier, "--yes")

    assert "proposed hostnames" not in before
    assert identifier in listed.stdout
    assert "\x1b" not in listed.stdout + signed.stdout + signed.stderr
    assert signed.returncode == 0, signed.stderr
    question = mig.results(signed.stdout.strip().splitlines()[-1])
    assert {one.agent for one in question} == set(ENDPOINTS)
    shown = json.loads(fleet.mig("proposal", "show", identifier, "--json").stdout)
    assert (shown["state"], shown["action"]) == ("signed", question.id)


def test_nothing_is_signed_without_somebody_who_says_so(fleet: Fleet, mig: Mig) -> None:
    identifier = proposed(mig, "not signed")

    ran = fleet.mig("proposal", "sign", identifier)

    assert ran.returncode != 0
    assert "nothing was signed" in ran.stderr
    assert mig.client.proposal(identifier)["state"] == "open"


def test_a_proposal_that_was_rejected_stays_rejected(fleet: Fleet, mig: Mig) -> None:
    identifier = proposed(mig, "rejected")

    rejected = fleet.mig("proposal", "reject", identifier, "--reason", "too wide")
    signed = fleet.mig("proposal", "sign", identifier, "--yes")

    assert rejected.returncode == 0, rejected.stderr
    assert "was rejected already" in signed.stderr
    assert mig.client.proposal(identifier)["answer"] == "too wide"
    assert identifier not in {one["id"] for one in mig.client.proposals(states=["open"])}


def test_an_action_that_asks_something_else_is_not_what_was_proposed(mig: Mig) -> None:
    identifier = proposed(mig, "hostnames of all")
    other = mig.ask("file", path="etc", name="^hostname$", target="all", action_name="another")

    with pytest.raises(ApiError, match="asks something else"):
        mig.client.proposal_signed(identifier, other.id)

    assert mig.client.proposal(identifier)["state"] == "open"
