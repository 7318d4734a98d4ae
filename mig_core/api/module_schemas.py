"""What modules that are installed beside mig-api declare, as schemas for its description: parameters, and rows.

They are named ``file.parameters`` and ``file.row``. ``x-mig-rows-at`` says where the rows lie in a result's
``elements``, and ``x-mig-at`` where a column's value lies in such an entry when that is not under its own name
(:func:`mig_core.plugin.rows.rows_of`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.plugin.columns import row_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.domain.document import JSON
    from mig_core.plugin.module import Module


def module_schemas(modules: Iterable[Module[Any]]) -> dict[str, JSON]:
    """The schemas, by name; of a module without columns only that of its parameters."""
    schemas: dict[str, JSON] = {}
    for module in modules:
        name = module.info.name
        schemas[f"{name}.parameters"] = {**module.parameters.json_schema(), "title": module.info.summary}
        if module.columns:
            schemas[f"{name}.row"] = {
                **row_schema(module.columns),
                "title": f"a row of {name}",
                "x-mig-rows-at": module.rows_at,
            }
    return schemas
