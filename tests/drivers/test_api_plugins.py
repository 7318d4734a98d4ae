"""What plugins add to the API: readable by investigators, by nobody else, and never in the way of our own routes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from mig_core.api.module_schemas import module_schemas
from mig_core.api.openapi import openapi_document
from mig_core.api.plugins import PluginResources
from mig_core.plugin.manager import load_module
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.api.exchange import Call
    from mig_core.domain.document import JSON
    from mig_core.testing.api_site import ApiSite


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


def test_the_description_has_the_parameters_and_rows_of_installed_modules() -> None:
    schemas = module_schemas([load_module("pkg"), load_module("file")])

    document: Any = openapi_document([], "1", modules=schemas)

    described = document["components"]["schemas"]
    assert described["pkg.row"]["properties"]["version"]["type"] == ["string", "null"]
    assert described["file.row"]["x-mig-rows-at"] == "*[]"
    assert described["file.row"]["properties"]["size"]["x-mig-at"] == "fileinfo.size"
    assert described["file.parameters"]["properties"]["searches"]["type"] == "object"


def test_a_running_api_describes_the_rows_of_the_modules_installed_beside_it(api_site: ApiSite) -> None:
    document = api_site.ask("GET", "/api/v1/openapi.json").json

    assert document["components"]["schemas"]["file.row"]["properties"]["sha256"]["x-mig-at"] == "fileinfo.sha256"
