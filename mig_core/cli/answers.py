"""Printing answers: lines for people, or JSON, JSON lines and CSV for programs; and the sum at the end.

An answer is the API's command document (a dictionary); a module that is installed here turns its results into lines,
for any other module the elements are printed as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from mig_core.cli import words
from mig_core.cli.formats import Format, Show
from mig_core.cli.terminal import DIM, GREEN, YELLOW, data, flush, note
from mig_core.client.csv_answers import CsvAnswers
from mig_core.domain.document import members
from mig_core.domain.result import read_module_result
from mig_core.errors import InvalidDocument, PluginError
from mig_core.plugin.printing import entries, mapping, row_text
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.module import Module

Document = dict[str, Any]
_REASONS = 5
"""Why not everything was looked at: so many reasons are told."""


class AnswerPrinter:
    """Prints answers one by one as they arrive; :meth:`finish` prints what can only be said at the end."""

    def __init__(self, modules: Sequence[str], show: Show, output: Format) -> None:
        self._names = modules
        self._modules: dict[str, Module[Any] | None] = {}
        self._show = show
        self._format = output
        self._kept: list[Document] = []
        self._csv = CsvAnswers(sys.stdout, modules, self._module) if output is Format.CSV else None
        self._states: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._partial: dict[str, dict[str, set[int]]] = {}
        """Why not everything was looked at -> who did not -> how much that was, by operation."""
        self._nothing: dict[str, set[str]] = {}
        """Why there was nothing to look at -> where."""
        self.found = 0
        self.shown = 0

    def print(self, command: Document) -> None:
        """One answer."""
        state = command["state"]
        self._states[state] += 1
        self.found += bool(command["found"])
        if state != "success":
            self._reasons[state, command["reason"]] += 1
        for reason, count in _skipped(command):
            self._partial.setdefault(reason, {}).setdefault(command["agentname"], set()).add(count)
        for reason in _nothing_to_look_at(command):
            self._nothing.setdefault(reason, set()).add(command["agentname"])
        if not self._wanted(command):
            return
        self.shown += 1
        if self._format is Format.JSON:
            self._kept.append(command)
        elif self._format is Format.JSONL:
            data(json.dumps(command, ensure_ascii=True))
        elif self._csv is not None:
            self._csv.write(command)
        else:
            for line in self._lines(command):
                data(f"{visible(command['agentname'])} {visible(line)}")
        flush()

    def finish(self, action: Document | None) -> None:
        """The document, for JSON; for people the sums, what went wrong and what was not looked at."""
        if self._format is Format.JSON:
            data(json.dumps({"action": action, "answers": self._kept}, ensure_ascii=True, indent=2))
        flush()
        for (state, reason), count in sorted(self._reasons.items()):
            note(f"{state}: {count} {_agents(count)}{': ' + visible(reason) if reason else ''}", YELLOW)
        for reason, agents in sorted(self._nothing.items(), key=lambda item: (-len(item[1]), item[0]))[:_REASONS]:
            note(f"nothing to look at on {len(agents)} {_agents(len(agents))}: {visible(reason)}", YELLOW)
        self._print_partial(action)
        total = sum(self._states.values())
        note(f"{self.found} of {total} {_agents(total)} found something", GREEN if self.found else "")

    def _print_partial(self, action: Document | None) -> None:
        names = sorted({name for agents in self._partial.values() for name in agents})
        if not names:
            return
        note(f"not everything was looked at on {len(names)} {_agents(len(names))}:", YELLOW)
        most_first = sorted(self._partial.items(), key=lambda item: (-len(item[1]), item[0]))
        for reason, agents in most_first[:_REASONS]:
            counts = set().union(*agents.values()) - {0}
            much = f": {_span(counts)}" if counts else ""
            note(f"  {visible(reason)}{much} ({len(agents)} {_agents(len(agents))})", DIM)
        if len(most_first) > _REASONS:
            note(f"  and {len(most_first) - _REASONS} more reasons", DIM)
        if action is not None:
            note(f"  what and where: mig why {action['id']} {visible(names[0])}", DIM)

    def _wanted(self, command: Document) -> bool:
        if self._show is Show.ALL:
            return True
        return bool(command["found"]) is (self._show is Show.FOUND)

    def _lines(self, command: Document) -> Iterator[str]:
        found_only = self._show is Show.FOUND
        for name, result in zip(self._names, command["results"] or (), strict=False):
            yield from self._result_lines(name, result, found_only)
        if not found_only or command["state"] != "success":
            reason = f": {command['reason']}" if command["reason"] else ""
            yield f"command {command['state']}{reason}"

    def _result_lines(self, name: str, document: Any, found_only: bool) -> Iterator[str]:
        module = self._module(name)
        if module is not None:
            try:
                result = read_module_result(members(document, subject="result"))
                yield from module_lines(module, result, found_only=found_only)
                return
            except (InvalidDocument, KeyError, TypeError, AttributeError, ValueError):
                pass  # the endpoint's module is of another version: its elements are shown as they are
        rows = list(_rows_of_itself(document.get("elements")))
        yield from rows or [f"{name}: {json.dumps(document.get('elements'), ensure_ascii=False)}"]
        if not found_only:
            yield from (str(error) for error in document.get("errors") or ())

    def _module(self, name: str) -> Module[Any] | None:
        if name not in self._modules:
            self._modules[name] = _installed_module(name)
        return self._modules[name]


def module_lines(module: Module[Any], result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """A result's lines; all of them are made before the first is given, so that a fault shows nothing by halves."""
    yield from list(module.lines(result, found_only=found_only))


def _rows_of_itself(elements: Any) -> Iterator[str]:
    """The lines of an answer that names its own columns: a table's, whose module is not installed here."""
    for row in entries(mapping(elements).get("rows")):
        names = (str(mapping(one).get("name")) for one in entries(mapping(elements).get("columns")))
        yield row_text(names, mapping(row))


def _installed_module(name: str) -> Module[Any] | None:
    try:
        return words.module(name)
    except PluginError:
        return None


def _skipped(command: Document) -> Iterator[tuple[str, int]]:
    """Each reason, and for how many things it is one; 0: not known."""
    for result in command["results"] or ():
        coverage: Mapping[str, Any] = result.get("coverage") or {}
        if coverage.get("complete", True):
            continue
        reasons = [(one["reason"], one["count"]) for one in coverage.get("skipped") or ()]
        if reasons or command["state"] == "success":  # of others the reason is told
            yield from reasons or [("the run was cut short", 0)]


def _nothing_to_look_at(command: Document) -> Iterator[str]:
    """Why a whole answer comes from looking at nothing: perhaps a path that was asked for has a letter too many."""
    for result in command["results"] or ():
        coverage: Mapping[str, Any] = result.get("coverage") or {}
        examined, skipped = coverage.get("examined") or {}, coverage.get("skipped") or ()
        if coverage.get("complete") and skipped and examined and not any(examined.values()):
            for one in skipped:
                examples = ", ".join(map(str, one.get("examples") or ()))
                yield f"{one['reason']}{f': {examples}' if examples else ''}"


def _span(counts: set[int]) -> str:
    """``3``, or ``3 to 5`` where agents have different counts."""
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _agents(count: int) -> str:
    return "agent" if count == 1 else "agents"
