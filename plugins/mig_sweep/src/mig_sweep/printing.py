"""Answers with the indicators that their rows are signs of."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.formats import Format, Show
from mig_core.cli.terminal import note
from mig_core.domain.document import members
from mig_core.domain.result import read_module_result
from mig_core.errors import InvalidDocument, PluginError
from mig_core.plugin.printing import entries, mapping, printable, row_text
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.domain.action import Operation
    from mig_core.plugin.module import Module
    from mig_sweep.indicator import Indicator
    from mig_sweep.matching import Matching

_HEAD = ("agent", "module", "row", "type", "value", "source", "name", "confidence", "labels")


class SweepPrinter(AnswerPrinter):
    """Prints a row with what it is a sign of; rows that are a sign of nothing are counted."""

    def __init__(
        self, operations: Sequence[Operation], show: Show, output: Format, matching: Matching, *, head: bool
    ) -> None:
        """``head``: whether the head of a table comes first."""
        super().__init__([one.module for one in operations], show, Format.TEXT if output is Format.CSV else output)
        self._operations = list(operations)
        self._matching = matching
        self._output = output
        self._table = csv.writer(sys.stdout, lineterminator="\n") if output is Format.CSV else None
        if self._table is not None and head:
            self._table.writerow(_HEAD)
        self.matches = 0
        self.others = 0

    def print(self, command: dict[str, Any]) -> None:
        """One answer."""
        signs = list(self._signs(command))
        self.matches += len(signs)
        command = command | {"found": bool(signs)}
        if self._output in (Format.JSON, Format.JSONL):
            command["indicators"] = [
                {"module": module, "row": row, "indicators": list(map(_told, found))} for module, row, found in signs
            ]
        self._signs_now = signs
        super().print(command)

    def finish(self, action: dict[str, Any] | None) -> None:
        """The sums."""
        super().finish(action)
        if self.others:
            note(f"{self.others} rows are a sign of no indicator (another version, another port …) and are not shown")

    def _lines(self, command: dict[str, Any]) -> Iterator[str]:
        for module, row, found in self._signs_now:
            line = self._line(module, row)
            for one in found:
                if self._table is not None:
                    cells = (command["agentname"], module, line, *_told(one).values())
                    self._table.writerow(
                        [visible(" ".join(one) if isinstance(one, list) else str(one)) for one in cells]
                    )
                else:
                    yield f"{line} <- {_text(one)}"
        if self._show is not Show.FOUND or command["state"] != "success":
            reason = f": {command['reason']}" if command["reason"] else ""
            text = f"command {command['state']}{reason}"
            if self._table is not None:
                note(f"{visible(command['agentname'])} {visible(text)}")
            else:
                yield text

    def _signs(self, command: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[Indicator]]]:
        for operation, result in zip(self._operations, command["results"] or (), strict=False):
            name = operation.module
            for row in rows_of(name, self._installed(name), result):
                found = self._matching.of_row(operation, row)
                if found:
                    yield name, row, found
                else:
                    self.others += 1

    def _line(self, name: str, row: Mapping[str, Any]) -> str:
        if name == "yara":
            return printable(f"yara {row.get('file') or row.get('process')} {row.get('rule')}")
        shown = {key: value for key, value in row.items() if value not in ("", None) and key != "search"}
        return printable(f"{name} {row_text(shown, shown)}")

    def _installed(self, name: str) -> Module[Any] | None:
        return self._module(name)


def rows_of(name: str, module: Module[Any] | None, document: Any) -> Iterator[dict[str, Any]]:
    """The rows of a result. Of ``memory`` each has the expression that was found as ``content``."""
    if name == "memory":
        yield from _of_memory(document)
        return
    if module is not None:
        try:
            yield from list(module.rows(read_module_result(members(document, subject="result"))))
            return
        except (InvalidDocument, PluginError, KeyError, TypeError, AttributeError, ValueError):
            pass  # of another version: its rows are read as they are
    for row in entries(mapping(mapping(document).get("elements")).get("rows")):
        yield dict(mapping(row))


def _of_memory(document: Any) -> Iterator[dict[str, Any]]:
    for found in mapping(mapping(document).get("elements")).values():
        for row in entries(found):
            process, search = mapping(mapping(row).get("process")), mapping(mapping(row).get("search"))
            if not process.get("name"):
                continue
            for content in entries(search.get("contents")):
                yield {"name": process.get("name"), "pid": process.get("pid"), "content": content}


def _told(one: Indicator) -> dict[str, Any]:
    value = one.value if len(one.value) <= 300 else one.name
    return {
        "type": str(one.kind),
        "value": value,
        "source": one.source,
        "name": one.name,
        "confidence": one.confidence,
        "labels": list(one.labels),
    }


def _cell(value: Any) -> str:
    return visible("; ".join(value) if isinstance(value, list) else str(value))


def _text(one: Indicator) -> str:
    about = [one.source]
    if one.name and one.name != one.source:
        about.append(one.name)
    if one.confidence:
        about.append(f"confidence {one.confidence}")
    about += one.labels
    return printable(f"{one.text} ({'; '.join(about)})")
