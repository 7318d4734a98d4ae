"""Enrolment, approval, retirement, targets, and RabbitMQ's questions, over a real mig-api."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from mig_core.domain.envelope import Envelope
from mig_core.errors import ApiError
from mig_core.relay.topology import COMMANDS, INBOUND
from mig_core.testing.api_site import ENROLMENT_SECRET, SampleAgent

if TYPE_CHECKING:
    from mig_core.testing.api_site import ApiSite


def enrol(site: ApiSite, envelope: Envelope) -> int:
    return site.ask("POST", "/api/v1/enrol", body=envelope.to_bytes()).status


def test_an_agent_that_knows_the_secret_is_admitted_and_gets_its_token(api_site: ApiSite) -> None:
    agent = SampleAgent(api_site)

    answer = agent.enrol()

    assert answer.status == 200
    assert answer.json["relay"] == "https"
    assert agent.ask("GET", "/commands?session=s&wait=0").json == {"messages": []}


def test_an_agent_without_the_secret_waits_for_approval(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site)

    waiting = agent.enrol(secret="")
    seen = alice.agent(agent.id)["state"]
    approved = alice.approve_agent(agent.id)["state"]
    admitted = agent.enrol(secret="")

    assert (waiting.status, waiting.json) == (202, {"state": "pending"})
    assert seen == "pending"
    assert approved == "offline"
    assert admitted.status == 200
    assert agent.token


def test_a_wrong_secret_is_refused_and_does_not_leave_an_agent_behind(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site)

    answer = agent.enrol(secret=ENROLMENT_SECRET + "!")

    assert answer.status == 403
    assert answer.json["field"] == "secret"
    assert list(alice.agents()) == []


def test_a_replayed_enrolment_changes_nothing(api_site: ApiSite) -> None:
    agent = SampleAgent(api_site)
    envelope = agent.enrolment()
    token = api_site.ask("POST", "/api/v1/enrol", body=envelope.to_bytes()).json["token"]
    agent.token = token

    replayed = enrol(api_site, envelope)

    assert replayed == 409
    assert agent.ask("GET", "/commands?session=s&wait=0").status == 200


def test_an_enrolment_that_is_old_or_from_the_future_is_refused(api_site: ApiSite) -> None:
    agent = SampleAgent(api_site)
    now = datetime.now(UTC)

    old = enrol(api_site, agent.enrolment(sent=now - timedelta(minutes=6)))
    future = enrol(api_site, agent.enrolment(sent=now + timedelta(minutes=6)))

    assert (old, future) == (403, 403)


def test_an_enrolment_signed_by_another_key_is_refused_and_counted(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent, thief = SampleAgent(api_site), SampleAgent(api_site)
    good = agent.enrolment()
    forged = thief.key.sign(good.payload_type, good.payload)

    assert enrol(api_site, forged) == 403
    assert enrol(api_site, Envelope(good.payload_type, good.payload, forged.signatures)) == 403
    assert alice.dashboard()["counters"]["enrolment.forged"] == 2


def test_enrolling_again_gives_a_new_token_and_ends_the_old_one(api_site: ApiSite) -> None:
    agent = SampleAgent(api_site)
    agent.enrol()
    old = agent.token
    agent.ask("GET", "/commands?session=s&wait=0")

    agent.enrol()
    with_new = agent.ask("GET", "/commands?session=s&wait=0").status
    agent.token = old
    with_old = agent.ask("GET", "/commands?session=s&wait=0").status

    assert (with_new, with_old) == (200, 401)


def test_a_retired_agent_is_out_at_once_and_for_good(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site)
    agent.enrol()
    before = agent.ask("GET", "/commands?session=s&wait=0").status

    alice.retire_agent(agent.id)

    assert before == 200
    assert agent.ask("GET", "/commands?session=s&wait=0").status == 401
    assert agent.enrol().status == 409
    assert alice.agent(agent.id)["state"] == "retired"


def test_targets_are_evaluated_and_agents_listed_by_them(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agents = [SampleAgent(api_site, f"web{number}.example.net") for number in range(3)]
    for agent in agents:
        agent.enrol()
    SampleAgent(api_site, "web9.example.net").enrol(secret="")

    evaluated = alice.evaluate("name LIKE 'web%'", limit=2)
    listed = list(alice.agents(target="os = 'linux' AND name <> 'web1.example.net'", states=["online"]))

    assert evaluated["count"] == 3
    assert [one["name"] for one in evaluated["agents"]] == ["web0.example.net", "web1.example.net"]
    assert [one["name"] for one in listed] == ["web0.example.net", "web2.example.net"]
    assert alice.agent_id("web1.example.net") == agents[1].id
    with pytest.raises(ApiError) as unknown:
        alice.agent_id("nobody's")
    assert unknown.value.status == 404


@pytest.mark.parametrize(
    "target",
    [
        "name = 'x'; DROP TABLE agents",
        "1=1) OR (1=1",
        "name = 'x' UNION SELECT secret FROM investigators",
        "name = $$x$$",
        "(" * 5000,
        "pg_sleep(10)",
    ],
)
def test_hostile_targets_are_refused_with_the_position_of_the_fault(api_site: ApiSite, target: str) -> None:
    alice = api_site.first_investigator()
    alice.log_in()
    token = alice._session.token()

    answer = api_site.ask("POST", "/api/v1/targets/evaluate", body={"target": target}, token=token)
    listed = api_site.ask("GET", f"/api/v1/agents?{urlencode({'target': target})}", token=token)

    for one in (answer, listed):
        assert one.status == 400
        assert one.json["field"] == "target"
        assert 0 <= one.json["position"] <= len(target)


def ask_rabbitmq(site: ApiSite, question: str, **form: str) -> str:
    answer = site.ask(
        "POST",
        f"/api/v1/relay/rabbitmq/{question}",
        body=urlencode(form).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 200
    return answer.body.decode()


def test_rabbitmq_lets_an_agent_log_in_with_its_token_only(api_site: ApiSite) -> None:
    agent, other = SampleAgent(api_site), SampleAgent(api_site, "web2")
    agent.enrol()
    other.enrol()

    assert ask_rabbitmq(api_site, "user", username=agent.id, password=agent.token) == "allow"
    assert ask_rabbitmq(api_site, "user", username=agent.id, password=other.token) == "deny"
    assert ask_rabbitmq(api_site, "user", username=agent.id, password="") == "deny"
    assert ask_rabbitmq(api_site, "user", username="guest", password="guest") == "deny"
    assert ask_rabbitmq(api_site, "user") == "deny"


def test_rabbitmq_lets_an_agent_read_its_own_queue_and_write_its_own_messages_only(api_site: ApiSite) -> None:
    agent, other = SampleAgent(api_site), SampleAgent(api_site, "web2")
    agent.enrol()
    me = {"username": agent.id, "vhost": "mig"}

    def may(name: str, permission: str, resource: str = "queue") -> str:
        return ask_rabbitmq(api_site, "resource", **me, resource=resource, name=name, permission=permission)

    def publish(exchange: str, key: str) -> str:
        topic = {"resource": "topic", "name": exchange, "permission": "write"}
        return ask_rabbitmq(api_site, "topic", **me, **topic, routing_key=key)

    assert ask_rabbitmq(api_site, "vhost", **me) == "allow"
    assert ask_rabbitmq(api_site, "vhost", username=agent.id, vhost="/") == "deny"
    assert may(f"mig.agent.{agent.id}", "read") == "allow"
    assert may(f"mig.agent.{agent.id}", "configure") == "deny"
    assert may(f"mig.agent.{other.id}", "read") == "deny"
    assert may("mig.results", "read") == "deny"
    assert may(INBOUND, "write", "exchange") == "allow"
    assert may(INBOUND, "read", "exchange") == "deny"
    assert may(COMMANDS, "write", "exchange") == "deny"
    assert [publish(exchange, "result") for exchange in (INBOUND, "amq.topic")] == ["deny", "deny"]


def test_rabbitmq_lets_no_retired_agent_log_in(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site)
    agent.enrol()
    login = {"username": agent.id, "password": agent.token}
    before = ask_rabbitmq(api_site, "user", **login)

    alice.retire_agent(agent.id)

    assert before == "allow"
    assert ask_rabbitmq(api_site, "user", **login) == "deny"


def test_what_rabbitmq_may_ask_tells_a_stranger_nothing_about_which_agents_there_are(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    known, retired, pending, unknown = (SampleAgent(api_site) for _ in range(4))
    known.enrol()
    retired.enrol()
    alice.retire_agent(retired.id)
    pending.enrol(secret="")

    def answers(agent: SampleAgent) -> list[str]:
        queue = {"resource": "queue", "name": f"mig.agent.{agent.id}", "permission": "read"}
        return [
            ask_rabbitmq(api_site, "user", username=agent.id, password="guessed"),
            ask_rabbitmq(api_site, "vhost", username=agent.id, vhost="mig"),
            ask_rabbitmq(api_site, "vhost", username=agent.id, vhost="/"),
            ask_rabbitmq(api_site, "resource", username=agent.id, vhost="mig", **queue),
            ask_rabbitmq(api_site, "resource", username=agent.id, vhost="/", **queue),
        ]

    assert answers(known) == answers(retired) == answers(pending) == answers(unknown)
