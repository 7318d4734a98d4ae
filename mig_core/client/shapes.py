"""Shapes of an action's operations: where the rows of its answers lie, as far as anybody here knows.

A module that is installed here knows best. Then what the platform's description says of modules installed there, then
what an answer says of itself: tables carry their columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mig_core.domain.document import members
from mig_core.domain.reading.shape import read_shape
from mig_core.errors import InvalidDocument, MigError, PluginError

if TYPE_CHECKING:
    from mig_core.client.client import MigClient
    from mig_core.domain.document import JSON
    from mig_core.domain.reading.shape import Shape
    from mig_core.plugin.module import Module

_TABLE_ROWS = "rows[]"


def shapes_of(client: MigClient, action: dict[str, Any]) -> tuple[Shape | None, ...]:
    """A shape for each operation of an action's document; None where nobody knows of rows."""
    names = [str(one["module"]) for one in action["operations"]]
    shapes: dict[str, Shape | None] = {name: _installed(name) for name in names}
    missing = [name for name, shape in shapes.items() if shape is None]
    if missing:
        described = client.openapi()["components"]["schemas"]
        shapes |= {name: _described(name, described.get(f"{name}.row")) for name in missing}
    missing = [name for name, shape in shapes.items() if shape is None]
    if missing:
        for command in client.commands(str(action["id"]), found=True, limit=1):
            for name, result in zip(names, command["results"] or (), strict=False):
                shapes[name] = shapes[name] or _of_itself(name, result.get("elements"))
    return tuple(_as_asked(shapes[str(one["module"])], one) for one in action["operations"])


def module_shape(module: Module[Any]) -> Shape | None:
    """The shape of a module's rows."""
    columns: list[JSON] = [
        {"name": one.name, "kind": one.kind.value, "at": one.at, "always": one.always} for one in module.columns
    ]
    return _shape({"module": module.info.name, "rowsat": module.rows_at, "columns": columns})


def _installed(name: str) -> Shape | None:
    from mig_core.plugin.manager import load_module

    try:
        return module_shape(load_module(name))
    except PluginError:
        return None


def _as_asked(shape: Shape | None, operation: dict[str, Any]) -> Shape | None:
    """Without the columns that this question did not ask for: that rows lack them says nothing about endpoints."""
    from mig_core.plugin.manager import load_module
    from mig_core.plugin.table import TableModule

    if shape is None:
        return None
    try:
        module = load_module(shape.module)
        if not isinstance(module, TableModule):
            return shape
        asked = module.answered_columns(operation.get("parameters"))
    except MigError:
        return shape
    return replace(shape, fields=tuple(one for one in shape.fields if one.name in asked))


def _described(name: str, schema: Any) -> Shape | None:
    """From a schema as :func:`mig_core.plugin.columns.row_schema` makes it."""
    if not isinstance(schema, dict):
        return None
    required = schema.get("required") or []
    columns: list[JSON] = [
        {"name": column, "kind": one.get("x-mig-kind"), "at": one.get("x-mig-at", ""), "always": column in required}
        for column, one in schema.get("properties", {}).items()
    ]
    return _shape({"module": name, "rowsat": schema.get("x-mig-rows-at", ""), "columns": columns})


def _of_itself(name: str, elements: Any) -> Shape | None:
    """From an answer that names its columns; it comes from an endpoint."""
    if not isinstance(elements, dict) or not isinstance(heads := elements.get("columns"), list):
        return None
    columns: list[JSON] = [
        {"name": one.get("name"), "kind": one.get("kind"), "always": False} for one in heads if isinstance(one, dict)
    ]
    return _shape({"module": name, "rowsat": _TABLE_ROWS, "columns": columns})


def _shape(document: JSON) -> Shape | None:
    try:
        shape = read_shape(members(document, subject="columns"))
    except InvalidDocument:
        return None
    return shape if shape.fields else None
