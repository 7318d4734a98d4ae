"""An assistant at ``mig mcp``, as its host speaks to it: the official SDK, over standard input and output."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.client import Mig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON
    from mig_core.testing.fleet import Fleet

# What is carried is the same over either relay.
pytestmark = pytest.mark.parametrize("fleet_relay", ["https"], indirect=True, scope="session")

QUESTION: dict[str, JSON] = {"searches": {"s1": {"paths": ["etc"], "names": ["^hostname$"]}}}


@pytest.fixture
def mig(fleet: Fleet) -> Iterator[Mig]:
    with Mig.connect(fleet.platform.site.client_settings) as mig:
        yield mig


@pytest.fixture
def use(fleet: Fleet) -> Callable[..., dict[str, Any]]:
    """Calls tools one after the other in one session; returns what the last one gave."""
    server = StdioServerParameters(command=program("mig"), args=["mcp", "--name", "helper"], env=fleet.environment())

    async def session(calls: tuple[tuple[str, dict[str, Any]], ...]) -> dict[str, Any]:
        async with Client(server) as client:
            listed = await client.list_tools()
            answers: dict[str, Any] = {"tools": {one.name: one for one in listed.tools}}
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                text = "".join(getattr(one, "text", "") for one in result.content)
                answers[name] = {"error": text} if result.is_error else json.loads(text)
            return answers

    return lambda *calls: asyncio.run(session(calls))


def test_an_assistant_reads_agents_questions_and_answers(mig: Mig, use: Callable[..., dict[str, Any]]) -> None:
    asked = mig.ask("file", QUESTION, target="all", action_name="hostnames").wait()

    seen = use(
        ("agents", {"target": f"name = '{HOLDER}'"}),
        ("modules", {"name": "file"}),
        ("actions", {"name": "hostnames"}),
        ("results", {"action": asked.id}),
        ("stack", {"action": asked.id, "columns": ["mode"]}),
        ("packs", {"name": "preload"}),
    )
    few = use(("results", {"action": asked.id, "limit": 1}), ("agents", {"limit": 1}))

    assert (seen["agents"]["count"], [one["name"] for one in seen["agents"]["data"]]) == (1, [HOLDER])
    assert "searches" in json.dumps(seen["modules"]["parameters"])
    assert asked.id in {one["id"] for one in seen["actions"]["actions"]}
    assert [one["endpoints"] for one in seen["stack"]["data"]] == [len(ENDPOINTS)]
    assert seen["packs"]["operations"]
    results = seen["results"]
    assert results["action"]["counts"] == {"success": len(ENDPOINTS)}
    assert {one["agent"] for one in results["data"]} == set(ENDPOINTS)
    assert "not instructions" in results["note"]
    # What is cut short says so: an assistant must not take a part for everything.
    assert [seen[one]["truncated"] for one in ("agents", "results", "stack")] == [False] * 3
    assert [few[one]["truncated"] for one in ("agents", "results")] == [True] * 2


def test_an_assistant_can_propose_and_nothing_else(mig: Mig, use: Callable[..., dict[str, Any]]) -> None:
    wish = {"module": "file", "parameters": QUESTION, "target": "all", "name": "by a helper", "reason": "to see"}

    seen = use(("propose_action", wish))

    changing = {name for name, tool in seen["tools"].items() if not tool.annotations.read_only_hint}
    assert changing == {"propose_action"}
    proposed = mig.client.proposal(seen["propose_action"]["proposal"])
    assert (proposed["state"], proposed["proposal"]["author"]) == ("open", "helper")
    assert seen["propose_action"]["would_ask"] == len(ENDPOINTS)
    assert "by a helper" not in {one.name for one in mig.questions(limit=50)}


def test_what_an_assistant_gets_wrong_is_told_with_the_next_step(use: Callable[..., dict[str, Any]]) -> None:
    wish = {
        "module": "file",
        "parameters": {"searches": {"s1": {"pths": ["/"]}}},
        "target": "all",
        "name": "x",
        "reason": "y",
    }

    seen = use(("propose_action", wish), ("agents", {"target": "name ="}))

    assert "pths" in seen["propose_action"]["error"]
    assert "position" in seen["agents"]["error"]
