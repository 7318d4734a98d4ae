"""Answers are checked without believing the platform: over a real mig-api, with a database that somebody changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from mig_core.client.compose import compose_action
from mig_core.client.proofs import check_answer, check_question
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Operation
from mig_core.domain.command import CommandState
from mig_core.domain.messages import Inbound, Kind
from mig_core.domain.result import Answer, Coverage, ModuleResult, Skipped
from mig_core.errors import SignatureInvalid
from mig_core.identity import AgentKey
from mig_core.pgp.keyring import GnupgKeyring
from mig_core.relay.memory import MemoryRelay
from mig_core.scheduler.collector import Collector
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mig_core.client.client import MigClient
    from mig_core.domain.action import Action
    from mig_core.domain.document import JSON
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite

# What a real module may answer, and what PostgreSQL changes on the way: NUL, the form of numbers.
ELEMENTS: JSON = {
    "text": "a\x00b",
    "numbers": [1, 1.0, 1e22, 0.1, -0.0, 10**30],
    "nested": [{"b": None, "a": True}],
}


@pytest.fixture
def alice(api_site: ApiSite) -> MigClient:
    return api_site.first_investigator()


class Asked:
    """A question that two agents were sent; the first one answers through a real collector."""

    def __init__(self, site: ApiSite, client: MigClient) -> None:
        self.site = site
        self.client = client
        self.agents = [SampleAgent(site, f"web{number}") for number in range(2)]
        for agent in self.agents:
            assert agent.enrol().status == 200
        self.action: Action = compose_action(
            [Operation("file", {"path": "/"})], name="who", target="all", expiry=timedelta(minutes=5)
        )
        client.create_action(sign_action(self.action, site.keys.alice))
        site.platform(self._send)

    async def _send(self, store: PostgresStore) -> None:
        now = datetime.now(UTC)
        await store.actions.fan_out(self.action.id, self.action.parsed_target(), now=now)
        unsent = await store.commands.claim_unsent(["https"], limit=10, lease=timedelta(seconds=30), now=now)
        await store.commands.mark_sent([one.id for one in unsent], now)

    def answer(self, agent: SampleAgent) -> None:
        """What the agent signs, taken in by a scheduler."""

        async def collect(store: PostgresStore) -> None:
            now = datetime.now(UTC)
            command = await store.commands.get(self.action.id, agent.id)
            coverage = Coverage(False, {"files": 3}, (Skipped("unreadable", 1, ("/x",)),))
            result = ModuleResult(True, True, ELEMENTS, None, ("e",), coverage)
            answer = Answer(command.id, self.action.id, agent.id, CommandState.SUCCESS, "", (result,), now, now)
            body = agent.key.sign(envelopes.RESULT, answer.to_payload()).to_bytes()
            relay = MemoryRelay().platform_end()
            await Collector(store, relay, lambda: datetime.now(UTC)).collect([Inbound(Kind.RESULT, agent.id, body)])

        self.site.platform(collect)

    def tamper(self, statement: LiteralString, *parameters: object) -> None:
        """What somebody with the owner's rights can do to the database."""
        with psycopg.connect(self.site.owner_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE commands DISABLE TRIGGER USER")
            assert connection.execute(statement, parameters).rowcount == 1

    def command(self, agent: SampleAgent) -> dict[str, JSON]:
        return self.client.command(self.action.id, agent.id, proof=True)


@pytest.fixture
def asked(api_site: ApiSite, alice: MigClient) -> Asked:
    asked = Asked(api_site, alice)
    asked.answer(asked.agents[0])
    return asked


def test_an_answer_comes_with_what_its_agent_signed_and_passes(asked: Asked) -> None:
    answered, waiting = asked.agents

    listed = {one["agent"]: one for one in asked.client.commands(asked.action.id, proofs=True)}

    answer = check_answer(listed[answered.id])
    assert answer is not None
    assert answer.results[0].coverage.skipped[0].reason == "unreadable"
    assert check_answer(asked.command(answered)) == answer
    assert check_answer(listed[waiting.id]) is None


def test_the_proof_travels_only_when_it_is_asked_for(asked: Asked) -> None:
    plain = asked.client.command(asked.action.id, asked.agents[0].id)

    assert "proof" not in plain
    assert all("proof" not in one for one in asked.client.commands(asked.action.id))


FORGED = AgentKey.generate()


@pytest.mark.parametrize(
    ("statement", "parameters", "what"),
    [
        ("UPDATE commands SET results = '[]' WHERE results IS NOT NULL", (), "results"),
        (
            "UPDATE commands SET results = jsonb_set(results, '{0,foundanything}', 'false') WHERE results IS NOT NULL",
            (),
            "results",
        ),
        ("UPDATE commands SET found = false WHERE results IS NOT NULL", (), "found"),
        ("UPDATE commands SET complete = true WHERE results IS NOT NULL", (), "complete"),
        ("UPDATE commands SET state = 'failed' WHERE results IS NOT NULL", (), "state"),
        ("UPDATE commands SET reason = 'nothing to see' WHERE results IS NOT NULL", (), "reason"),
        ("UPDATE commands SET signature = %s WHERE results IS NOT NULL", (bytes(64),), "does not fit"),
        ("UPDATE commands SET signed_answer = NULL WHERE results IS NOT NULL", (), "no signed document"),
    ],
    ids=["emptied", "one verdict", "found", "complete", "state", "reason", "signature", "proof taken away"],
)
def test_a_stolen_database_cannot_change_an_answer_unnoticed(
    asked: Asked, statement: LiteralString, parameters: Sequence[object], what: str
) -> None:
    asked.tamper(statement, *parameters)

    with pytest.raises(SignatureInvalid, match=what):
        check_answer(asked.command(asked.agents[0]))


def test_an_answer_signed_by_another_key_is_not_the_agents(asked: Asked) -> None:
    agent = asked.agents[0]
    asked.tamper("UPDATE agents SET public_key = %s WHERE id = %s", FORGED.public_key, agent.id)

    with pytest.raises(SignatureInvalid, match="another agent's"):
        check_answer(asked.command(agent))


def test_one_agents_answer_cannot_be_shown_as_anothers(asked: Asked) -> None:
    first, second = asked.agents
    asked.answer(second)
    asked.tamper(
        "UPDATE commands c SET signed_answer = o.signed_answer, signature = o.signature FROM commands o"
        " WHERE c.agent_id = %s AND o.agent_id = %s",
        first.id,
        second.id,
    )

    with pytest.raises(SignatureInvalid, match="does not fit"):
        check_answer(asked.command(first))


def test_an_answer_of_a_retired_agent_can_still_be_checked(asked: Asked) -> None:
    agent = asked.agents[0]

    asked.client.retire_agent(agent.id)

    assert check_answer(asked.command(agent)) is not None


def test_an_answer_cannot_be_made_a_success_that_found_nothing(asked: Asked) -> None:
    asked.tamper(
        "UPDATE commands SET results = NULL, found = false, signed_answer = NULL, signature = NULL"
        " WHERE results IS NOT NULL"
    )

    with pytest.raises(SignatureInvalid, match="no signed document was kept"):
        check_answer(asked.command(asked.agents[0]))


def test_the_question_is_checked_by_the_keys_at_hand(asked: Asked, tmp_path: Path) -> None:
    document = asked.client.action(asked.action.id)
    empty, full = GnupgKeyring(tmp_path / "empty"), GnupgKeyring(tmp_path / "full")
    alice = asked.site.keys.alice
    full.add(alice.public_key())

    assert check_question(document, full).signed_by == (alice.fingerprint,)
    assert check_question(document, empty).unknown == (alice.fingerprint,)
    for change in (
        {"target": "name = 'web0'"},
        {"name": "another"},
        {"operations": [{"module": "file", "parameters": {"path": "/elsewhere"}}]},
        {"validfrom": "2020-01-01T00:00:00Z"},
        {"expireafter": "2099-01-01T00:00:00Z"},
    ):
        with pytest.raises(SignatureInvalid, match="shows another"):
            check_question({**document, **change}, full)
    # Whoever changes both, the shown and the signed, has no signature for it.
    forged = replace(asked.action, target="name = 'web0'")
    envelope = sign_action(asked.action, alice)
    other = {**document, "target": forged.target, "envelope": replace(envelope, payload=forged.to_payload()).to_json()}
    with pytest.raises(SignatureInvalid, match=r"bad signature|does not fit"):
        check_question(json.loads(json.dumps(other)), full)


def test_an_answer_from_before_the_proofs_is_said_to_have_none(asked: Asked) -> None:
    asked.tamper("UPDATE commands SET signed_answer = NULL, signature = NULL WHERE results IS NOT NULL")

    with pytest.raises(SignatureInvalid, match="no signed document was kept"):
        check_answer(asked.command(asked.agents[0]))
