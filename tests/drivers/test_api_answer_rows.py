"""Answers as rows over a real mig-api: documents as described, and nobody reads who may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import pytest

from mig_core.api.schemas import SCHEMAS
from mig_core.client.compose import compose_action
from mig_core.client.shapes import shapes_of
from mig_core.domain.action import Operation
from mig_core.domain.command import CommandState
from mig_core.domain.reading.reading import DiffWish, RowsWish, StackWish, choice, read_fact
from mig_core.domain.result import Answer, ModuleResult
from mig_core.errors import ApiError
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from mig_core.client.client import MigClient
    from mig_core.domain.action import Action
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite

ELEMENTS: Any = {
    "s1": [
        {"file": "/etc/a\x00b", "fileinfo": {"size": 3, "sha256": "ABCD"}},
        {"file": "/etc/\u202ec", "fileinfo": {"size": None}},
        {"file": "", "fileinfo": {"size": 1}},
        "no row",
    ]
}


@pytest.fixture
def alice(api_site: ApiSite) -> MigClient:
    return api_site.first_investigator()


@pytest.fixture
def asked(api_site: ApiSite, alice: MigClient) -> Action:
    """A question that two agents were sent, and one has answered."""
    agents = [SampleAgent(api_site, f"web{number}") for number in range(2)]
    for agent in agents:
        assert agent.enrol().status == 200
    action = compose_action([Operation("file", {"path": "/"})], name="who", target="all", expiry=timedelta(minutes=5))
    alice.create_action(sign_action(action, api_site.keys.alice))

    async def answer(store: PostgresStore) -> None:
        now = datetime.now(UTC)
        await store.actions.fan_out(action.id, action.parsed_target(), now=now)
        command = await store.commands.get(action.id, agents[0].id)
        result = ModuleResult(True, True, ELEMENTS)
        await store.commands.record(
            [Answer(command.id, action.id, agents[0].id, CommandState.SUCCESS, "", (result,), now, now)], now
        )

    api_site.platform(answer)
    return action


def as_described(name: str, document: Any) -> None:
    """Holds a reply to the schema that the API's description has for it."""
    schema = {**SCHEMAS[name], "components": {"schemas": SCHEMAS}}
    jsonschema.validate(document, schema)


def test_replies_are_as_described_and_everybody_is_accounted_for(alice: MigClient, asked: Action) -> None:
    role = read_fact("tags.role")
    assert role is not None
    chosen = choice(shapes_of(alice, alice.action(asked.id)), "size > 1")

    rows = list(alice.rows(asked.id, RowsWish(chosen)))
    stack = list(alice.stack(asked.id, StackWish(chosen, ("sha256",), (role,))))
    diff = list(alice.diff(asked.id, asked.id, DiffWish(chosen, (), ("file",))))
    history = alice.history(rows[0]["items"][0]["agent"])

    for name, pages in (("RowPage", rows), ("Stack", stack), ("Diff", diff)):
        for page in pages:
            as_described(name, page)
    as_described("HistoryList", {"items": list(history), "cursor": ""})
    assert [one["row"] for page in rows for one in page["items"]] == [
        {"search": "s1", "file": "/etc/a\ufffdb", "size": 3, "sha256": "abcd"}
    ]
    account = rows[0]["account"]
    assert (account["targeted"], account["answered"], account["undecidedrows"]) == (2, 1, 1)
    assert [(one["group"], one["value"], one["endpoints"]) for one in stack[0]["items"]] == [
        ([None], {"sha256": "abcd"}, 1)
    ]
    assert (diff[0]["both"], diff[0]["silent"], diff[0]["items"]) == (1, 1, [])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"where": "size >"}, "where"),
        ({"where": "nothing = 1"}, "where"),
        ({"columns": ["nothing"]}, "columns"),
        ({"shapes": []}, "shapes"),
        (
            {"shapes": [{"module": "file", "rowsat": "*[]", "columns": [{"name": "a", "kind": "x"}]}]},
            "shapes[0].columns[0].kind",
        ),
        ({"cursor": "x"}, ""),
        ({"limit": 0}, "limit"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wish_that_is_none_names_its_fault(
    alice: MigClient, asked: Action, changed: dict[str, Any], field: str
) -> None:
    document = {**RowsWish(choice(shapes_of(alice, alice.action(asked.id)))).to_json(), **changed}

    with pytest.raises(ApiError) as caught:
        alice._post(f"/actions/{asked.id}/rows", document)

    assert (caught.value.status, caught.value.field) == (400, field)


def test_an_action_is_found_by_the_beginning_of_its_id(alice: MigClient, asked: Action) -> None:
    assert alice.action_id(asked.id[:20]) == asked.id
    assert alice.action_id("last") == asked.id
    with pytest.raises(ApiError, match="begins with ffff"):
        alice.action_id("ffff")
    with pytest.raises(ApiError, match="not asked so many"):
        alice.action_id("-9")
