"""Answers as CSV: a header, then a line a row, and one for an answer without rows.

What modules declare as columns are the columns here. A module that declares none, or is not installed here, gives one
line an element, as JSON in the column ``element``, with the key it lies under in ``label``.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from mig_core.domain.document import members
from mig_core.domain.result import read_module_result
from mig_core.errors import InvalidDocument
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TextIO

    from mig_core.domain.document import JSON
    from mig_core.plugin.module import Module

    Modules = Callable[[str], Module[Any] | None]

HEAD = ("agent", "state", "found", "complete", "reason", "module")
ANY_ELEMENT = ("label", "element")
NOT_KNOWN = "?"
_FORMULA = ("=", "+", "-", "@")


class CsvAnswers:
    """Writes answers.

    Args:
        sink: where to.
        names: of the modules that were asked, an operation each.
        modules: gives a module that is installed here, by its name.
    """

    def __init__(self, sink: TextIO, names: Sequence[str], modules: Modules) -> None:
        self._names = names
        self._modules = modules
        self._columns = list(dict.fromkeys(column for name in names for column in _header(name, modules(name))))
        self._csv = csv.writer(sink)
        self._csv.writerow([*HEAD, *self._columns])

    def write(self, command: Mapping[str, Any]) -> None:
        """One answer, the API's command document."""
        reason = command["reason"]
        truths = (_truth(command["found"]), _truth(command.get("complete")))
        head = [command["agentname"], command["state"], *truths, reason]
        rows = list(self._rows(command))
        for name, cells in rows or [("", {})]:
            self._csv.writerow(
                [*(guarded(one) for one in (*head, name)), *(_cell(cells, one) for one in self._columns)]
            )

    def _rows(self, command: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, JSON]]]:
        for name, document in zip(self._names, command["results"] or (), strict=False):
            module = self._modules(name)
            if module is None or not module.columns:
                yield from ((name, cells) for cells in _elements(document.get("elements")))
                continue
            try:
                result = read_module_result(members(document, subject="result"))
            except InvalidDocument:
                continue
            for row in module.rows(result):
                yield name, {_word(name, column): cell for column, cell in row.items()}


def _header(name: str, module: Module[Any] | None) -> Sequence[str]:
    if module is None or not module.columns:
        return ANY_ELEMENT
    return [_word(name, column.name) for column in module.columns]


def _word(name: str, column: str) -> str:
    """A column's name in the header: with the module's in front where it would be one of the answer's own."""
    return f"{name}_{column}" if column in HEAD else column


def _elements(elements: JSON) -> Iterator[Mapping[str, JSON]]:
    groups = elements.items() if isinstance(elements, dict) else [("", elements)]
    for label, group in groups:
        for element in group if isinstance(group, list) else [group]:
            yield {"label": label, "element": json.dumps(element, ensure_ascii=True)}


def _cell(cells: Mapping[str, JSON], column: str) -> str:
    if column not in cells:
        return ""
    value = cells[column]
    if column == "element" and isinstance(value, str):
        return value
    return csv_cell(value)


def csv_cell(value: JSON) -> str:
    """A value as it is written; texts so that no spreadsheet takes them for a formula."""
    return guarded(cell_text(value)) if isinstance(value, str | list) else cell_text(value)


def cell_text(value: JSON) -> str:
    """A value that is there, as text."""
    if value is None:
        return NOT_KNOWN
    if isinstance(value, bool):
        return _truth(value)
    return "; ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _truth(value: object) -> str:
    return "" if value is None else str(bool(value)).lower()


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + visible(text) if text.startswith(_FORMULA) else visible(text)
