"""Answers as server-sent events, over a real mig-api: in order, resumed, and ended in time."""

from __future__ import annotations

import http.client
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.client.compose import compose_action
from mig_core.client.follow import read_events
from mig_core.domain.action import Operation
from mig_core.domain.command import CommandState
from mig_core.domain.result import Answer, ModuleResult
from mig_core.errors import ApiError
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.client.client import MigClient
    from mig_core.client.follow import Event
    from mig_core.config.server import ApiSettings
    from mig_core.domain.action import Action
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite

AGENTS = 3


@pytest.fixture
def alice(api_site: ApiSite) -> MigClient:
    return api_site.first_investigator()


@pytest.fixture
def asked(api_site: ApiSite, alice: MigClient) -> Action:
    """A question that three agents have been sent."""
    for number in range(AGENTS):
        assert SampleAgent(api_site, f"web{number}").enrol().status == 200
    action = compose_action([Operation("file", {})], name="who", target="all", expiry=timedelta(minutes=5))
    alice.create_action(sign_action(action, api_site.keys.alice))

    async def send(store: PostgresStore) -> None:
        now = datetime.now(UTC)
        await store.actions.fan_out(action.id, action.parsed_target(), now=now)
        unsent = await store.commands.claim_unsent(["https"], limit=10, lease=timedelta(seconds=30), now=now)
        await store.commands.mark_sent([one.id for one in unsent], now)

    api_site.platform(send)
    return action


def answer(site: ApiSite, action: Action, *names: str) -> None:
    """The scheduler records what these agents answered."""

    async def record(store: PostgresStore) -> None:
        now = datetime.now(UTC)
        for name in names:
            commands, _ = await store.commands.list(action.id, limit=100)
            command = next(one for one in commands if one.agent_name == name)
            result = ModuleResult(name == "web0", True, {"name": name}, None, ())
            await store.commands.record(
                [Answer(command.id, action.id, command.agent, CommandState.SUCCESS, "", (result,), now, now)], now
            )
        await store.actions.settle(now)

    site.platform(record)


def test_answers_arrive_as_they_are_recorded_and_the_stream_ends_with_the_action(
    api_site: ApiSite, alice: MigClient, asked: Action
) -> None:
    events: list[Event] = []
    begun, two_answered = threading.Event(), threading.Event()

    def follow() -> None:
        for event in alice.follow(asked.id):
            events.append(event)
            begun.set()
            if sum(one.kind == "command" for one in events) == 2:
                two_answered.set()

    watcher = threading.Thread(target=follow)
    watcher.start()
    assert begun.wait(60)
    answer(api_site, asked, "web1", "web0")
    assert two_answered.wait(60)
    answer(api_site, asked, "web2")
    watcher.join(60)

    assert not watcher.is_alive()
    commands = [one.data for one in events if one.kind == "command"]
    assert [one["agentname"] for one in commands] == ["web1", "web0", "web2"]
    assert [one["found"] for one in commands] == [False, True, False]
    assert commands[0]["results"][0]["elements"] == {"name": "web1"}
    assert events[0].kind == "action"
    assert events[-1].kind == "end"
    assert events[-1].data["state"] == "completed"
    assert events[-1].data["counts"]["success"] == AGENTS
    assert events[-1].data["found"] == 1


def test_a_stream_is_taken_up_again_at_its_last_position(api_site: ApiSite, alice: MigClient, asked: Action) -> None:
    answer(api_site, asked, "web0", "web1", "web2")
    whole = list(alice.follow(asked.id))
    first = next(one for one in whole if one.kind == "command")

    rest = list(alice.follow(asked.id, first.position))

    names = [one.data["agentname"] for one in rest if one.kind == "command"]
    assert names == ["web1", "web2"]
    assert rest[-1].kind == "end"


def test_last_event_id_resumes_too(api_site: ApiSite, alice: MigClient, asked: Action) -> None:
    answer(api_site, asked, "web0", "web1", "web2")
    last = [one for one in alice.follow(asked.id) if one.kind == "command"][-1]

    token = alice._session.token()
    path = f"/api/v1/actions/{asked.id}/events"
    resumed = api_site.ask("GET", path, token=token, headers={"Last-Event-ID": last.position})

    assert resumed.headers["content-type"] == "text/event-stream"
    kinds = [one.kind for one in read_events([resumed.body], "") if one is not None]
    assert "command" not in kinds
    assert kinds[-1] == "end"


def test_following_survives_a_restart_of_the_api(api_site: ApiSite, alice: MigClient, asked: Action) -> None:
    answer(api_site, asked, "web0")
    events = iter(alice.follow(asked.id))
    before = _until_command(events)

    port = int(api_site.address.rpartition(":")[2])
    api_site.stop()
    api_site.settings = _listening_on(api_site, port)
    api_site.start()
    answer(api_site, asked, "web1", "web2")
    after = [one.data["agentname"] for one in events if one.kind == "command"]

    assert before == "web0"
    assert after == ["web1", "web2"]


def test_a_disabled_investigator_does_not_go_on_watching(api_site: ApiSite, alice: MigClient, asked: Action) -> None:
    bob = api_site.keys.bob
    alice.add_investigator("Bob", bob.public_key(), ["read"])
    events = iter(api_site.client(bob).follow(asked.id))
    next(events)

    alice.change_investigator(bob.fingerprint, active=False)
    answer(api_site, asked, "web0")

    with pytest.raises(ApiError) as refused:
        list(events)
    assert refused.value.status == 401


@pytest.mark.parametrize("position", ["x", "-1", "1' OR '1'='1", "9" * 300, "%0a"])
def test_a_position_that_was_never_given_out_is_refused(
    api_site: ApiSite, alice: MigClient, asked: Action, position: str
) -> None:
    alice.log_in()

    with pytest.raises(ApiError) as refused:
        list(alice.follow(asked.id, position))

    assert refused.value.status == 400


def test_commands_are_listed_by_state_and_by_what_they_found(
    api_site: ApiSite, alice: MigClient, asked: Action
) -> None:
    answer(api_site, asked, "web0", "web1")

    found = [one["agentname"] for one in alice.commands(asked.id, found=True)]
    not_found = [one["agentname"] for one in alice.commands(asked.id, found=False)]
    waiting = [one["agentname"] for one in alice.commands(asked.id, states=["queued", "sent"])]
    one = alice.command(asked.id, alice.agent_id("web0"))

    assert (found, not_found, waiting) == (["web0"], ["web1"], ["web2"])
    assert one["state"] == "success"
    assert one["complete"] is True


def test_a_hundred_answers_at_once_cost_few_action_events(api_site: ApiSite, alice: MigClient, asked: Action) -> None:
    answer(api_site, asked, "web0", "web1", "web2")

    events = list(alice.follow(asked.id))

    assert sum(one.kind == "action" for one in events) <= 2


def test_the_stream_stops_with_the_server_and_says_so_by_ending(
    api_site: ApiSite, alice: MigClient, asked: Action
) -> None:
    alice.log_in()
    connection = http.client.HTTPConnection(api_site.address, timeout=60)
    headers = {"Authorization": f"Bearer {alice._session.token()}"}
    connection.request("GET", f"/api/v1/actions/{asked.id}/events", headers=headers)
    response = connection.getresponse()
    first = response.readline()

    took = api_site.stop()
    rest = response.read()

    assert first == b"event: action\n"
    assert b"event: end" not in rest
    assert took < 20
    connection.close()


def _until_command(events: Iterator[Event]) -> str:
    return next(str(one.data["agentname"]) for one in events if one.kind == "command")


def _listening_on(site: ApiSite, port: int) -> ApiSettings:
    return replace(site.settings, listen=f"127.0.0.1:{port}")
