"""What plugins add to the API: readable by investigators, by nobody else, and never in the way of our own routes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from mig_core.api.plugins import PluginResources
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.api.exchange import Call
    from mig_core.domain.document import JSON


async def weather(query: Mapping[str, str]) -> JSON:
    return {"sky": query.get("where", "grey")}


async def other(query: Mapping[str, str]) -> JSON:
    return None


def test_an_answer_is_a_route_below_plugins_that_needs_the_permission_to_read() -> None:
    (bound,) = PluginResources([{"weather": weather}, None]).routes()

    call: Any = SimpleNamespace(query={"where": "blue"})
    reply = asyncio.run(cast("Any", bound.handle(cast("Call", call))))

    assert bound.route.full_path == "/api/v1/plugins/weather"
    assert bound.route.access is Permission.READ
    assert reply.document == {"sky": "blue"}


def test_a_second_claim_and_odd_names_are_left_out() -> None:
    bound = list(PluginResources([{"weather": weather}, {"weather": other, "../login": other, "": other}]).routes())

    assert [one.route.path for one in bound] == ["/plugins/weather"]
