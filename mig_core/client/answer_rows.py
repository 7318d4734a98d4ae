"""Rows of answers, by what the modules that are installed here declare, or by what an answer says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.domain.document import members
from mig_core.domain.result import read_module_result
from mig_core.errors import InvalidDocument, PluginError
from mig_core.plugin.printing import entries, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.plugin.columns import Column, Row
    from mig_core.plugin.module import Module

RESERVED = ("agent", "module")
"""Names of cells that are the answer's own. A module's column of this name has the module's in front."""


class AnswerReader:
    """Reads rows and their columns; keeps the modules it loaded. Total: answers come from endpoints."""

    def __init__(self) -> None:
        self._modules: dict[str, Module[Any] | None] = {}

    def columns(self, module: str) -> tuple[Column, ...]:
        """What rows of a module have, as it declares; nothing when it is not installed here."""
        installed = self.module(module)
        return () if installed is None else installed.columns

    def rows(self, modules: Sequence[str], command: Mapping[str, Any]) -> Iterator[Row]:
        """The rows of a command document: ``agent``, ``module`` where several were asked, then the module's columns.

        Args:
            modules: that were asked, an operation each.
            command: the API's document of one agent's answer.
        """
        for name, result in zip(modules, command["results"] or (), strict=False):
            first: Row = {"agent": command["agentname"]}
            if len(modules) > 1:
                first["module"] = name
            for row in self._rows(name, result):
                yield first | {cell_name(name, column): cell for column, cell in row.items()}

    def _rows(self, name: str, document: Any) -> Iterator[Row]:
        module = self.module(name)
        if module is None:
            yield from (dict(mapping(row)) for row in entries(mapping(mapping(document).get("elements")).get("rows")))
            return
        try:
            result = read_module_result(members(document, subject="result"))
        except InvalidDocument:
            return
        yield from module.rows(result)

    def module(self, name: str) -> Module[Any] | None:
        """A module that is installed here, or None."""
        if name not in self._modules:
            from mig_core.plugin.manager import load_module

            try:
                self._modules[name] = load_module(name)
            except PluginError:
                self._modules[name] = None
        return self._modules[name]


def cell_name(module: str, column: str) -> str:
    """A column's name among an answer's own cells."""
    return f"{module}_{column}" if column in RESERVED else column
