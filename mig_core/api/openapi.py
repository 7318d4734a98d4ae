"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from the routes' own declarations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.api.exchange import Access
from mig_core.api.problems import MEDIA_TYPE
from mig_core.api.schemas import SCHEMAS
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_core.api.exchange import Route
    from mig_core.domain.document import JSON


def openapi_document(
    routes: Iterable[Route], version: str, *, modules: Mapping[str, JSON] | None = None
) -> dict[str, JSON]:
    """The whole description.

    Args:
        modules: further schemas, of :func:`mig_core.api.module_schemas.module_schemas`.
    """
    paths: dict[str, dict[str, JSON]] = {}
    for route in routes:
        paths.setdefault(route.full_path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mig-api",
            "version": version,
            "description": "Investigators ask, agents answer. Errors are problem documents (RFC 9457).",
        },
        "paths": {**paths},
        "components": {
            "schemas": {**SCHEMAS, **(modules or {})},
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "description": "session token of POST /login"},
                "agent": {"type": "http", "scheme": "bearer", "description": "AGENT_ID:RELAY_TOKEN of POST /enrol"},
            },
        },
    }


def _operation(route: Route) -> dict[str, JSON]:
    answer: dict[str, JSON] = {"description": "done"}
    if route.response:
        answer["content"] = {route.media.partition(";")[0]: {"schema": _ref(route.response)}}
    operation: dict[str, JSON] = {
        "summary": route.summary,
        "operationId": re.sub(r"[^a-z0-9]+", "_", f"{route.method} {route.path}".lower()).strip("_"),
        "responses": {
            str(route.status): answer,
            "default": {"description": "a problem", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}},
        },
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "security": [] if route.access is Access.ANYONE else [{_scheme(route): []}],
    }
    if isinstance(route.access, Permission):
        operation["x-mig-permission"] = route.access.value
    if route.body:
        operation["requestBody"] = {"required": True, "content": {route.takes: {"schema": _ref(route.request)}}}
        operation["x-mig-largest-body"] = route.body
    return operation


def _scheme(route: Route) -> str:
    return "agent" if route.access is Access.AGENT else "session"


def _path_parameters(route: Route) -> list[JSON]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[JSON]:
    return [
        {"name": one.name, "in": "query", "description": one.summary, "schema": {"type": one.kind}}
        for one in route.query
    ]


def _ref(name: str) -> dict[str, JSON]:
    if name not in SCHEMAS:
        raise KeyError(f"no schema is called {name}")
    return {"$ref": f"#/components/schemas/{name}"}
