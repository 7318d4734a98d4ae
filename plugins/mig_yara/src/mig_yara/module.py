"""The module itself: parameters in, result out. The composition root of the plugin."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.columns import head
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import coverage_lines, duration_text, mapping, printable
from mig_yara import declaration, question, rows
from mig_yara.columns import COLUMNS, ROWS_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_yara.question import Question

PARTIAL_INTERVAL = 2.0
"""Seconds between partial results, at least,"""
PARTIAL_SHARE = 20
"""and this many times what making the last one took, so that large answers do not eat the run."""
MASKED = "masked"


class YaraModule(Module["Question"]):
    """Looks for YARA rules in files, archives, and the memory of processes."""

    info = ModuleInfo(
        name="yara",
        summary="find files and processes that YARA rules match",
        needs_root=True,
        discloses="paths of matching files and processes, offsets of matches, and their first bytes when asked for",
        preload=("re2", "yara_x", "mig_endpoint.finding.evaluation", "mig_endpoint.finding.exploring"),
    )
    parameters = declaration.PARAMETERS
    columns = COLUMNS
    rows_at = ROWS_AT

    def __init__(self, partial_interval: float = PARTIAL_INTERVAL) -> None:
        """``partial_interval``: seconds between partial results, at least."""
        self._partial_interval = partial_interval

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Question:
        """The question, its rules compiled.

        Raises:
            ParameterError: names the JSON path of the fault; in a rule, its line and column.
        """
        return question.read(raw, strict=strict)

    def remarks(self, parameters: Question) -> Iterator[str]:
        """What YARA 4 would judge otherwise, and which rules cannot be asked of memory."""
        from mig_yara.differences import remarks

        yield from remarks(parameters.rules.texts)
        if parameters.search is None:
            for (_, name), why in parameters.rules.piecewise.refused.items():
                yield f"rule {name}: not asked, since memory is seen in pieces and {why}"

    def run(self, parameters: Question, context: Context) -> ModuleResult:
        """Looks; at the deadline returns what was found until then."""
        started = time.monotonic_ns()
        if parameters.search is None:
            return self._in_processes(parameters, context, started)
        return self._in_files(parameters, context, started)

    def _in_files(self, asked: Question, context: Context, started: int) -> ModuleResult:
        from mig_endpoint.finding import exploring
        from mig_endpoint.finding.evaluation import Evaluation
        from mig_yara.engine import Engine
        from mig_yara.files import Files
        from mig_yara.pieces import Pieces

        assert asked.search is not None
        search, tally = asked.search, Tally(asked.search.options.maxerrors)
        engine = Engine(asked.rules, asked.limits, tally, context.remaining)
        pieces = partial(Pieces, asked.rules, engine, asked.limits, tally)
        files = Files(engine, pieces, tally, context.expired)
        evaluation = Evaluation(
            (search,), tally, context.expired, time.time_ns(), files.keep, members_with_content=True
        )

        def result() -> ModuleResult:
            return _result(asked, files.rows, tally, started, {"files": evaluation.examined})

        evaluation.on_progress = self._progress(context, result)
        try:
            exploring.explore((search,), evaluation, tally, context.remaining)
        finally:
            evaluation.close()
            engine.close()
        return result()

    def _in_processes(self, asked: Question, context: Context, started: int) -> ModuleResult:
        from mig_endpoint.processes.proc import Proc
        from mig_yara.engine import Engine
        from mig_yara.memory import Processes
        from mig_yara.pieces import Pieces

        tally = Tally()
        wanted = _wanted(asked.names)
        with (
            closing(Engine(asked.rules, asked.limits, tally, context.remaining)) as engine,
            Proc(tally) as proc,
            closing(
                Processes(
                    proc,
                    engine,
                    Pieces(asked.rules, engine, asked.limits, tally),
                    wanted,
                    tally,
                    context.remaining,
                    nofiles=asked.nofiles,
                )
            ) as processes,
        ):
            progress = self._progress(context, lambda: _result(asked, processes.rows, tally, started))
            for _ in processes.look_at_all():
                if progress is not None:
                    progress()
            return _result(asked, processes.rows, tally, started)

    def _progress(self, context: Context, make: Callable[[], ModuleResult]) -> Callable[[], None] | None:
        """Hands over partial results, not too often."""
        if context.on_partial is None:
            return None
        due = time.monotonic() + self._partial_interval

        def progress() -> None:
            nonlocal due
            now = time.monotonic()
            if now < due:
                return
            one = make()
            context.partial(replace(one, coverage=replace(one.coverage, complete=False)))
            took = time.monotonic() - now
            due = now + took + max(self._partial_interval, PARTIAL_SHARE * took)

        return progress

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each row, then errors, what was not looked at, and statistics."""
        for row in self.rows(result):
            yield printable(rows.line(row))
        if found_only:
            return
        for error in result.errors:
            yield printable(error)
        yield from coverage_lines(result.coverage)
        if statistics := mapping(result.statistics):
            yield printable(
                f"Statistics: {statistics.get('rules')} rules, {statistics.get('totalhits')} matches, by "
                f"{statistics.get('engine')}, ran in {statistics.get('exectime')}."
            )

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without names of files, and without any byte of what was found."""
        hidden: dict[str, JSON] = {one.name: MASKED for one in self.columns if one.masked}
        hidden["excerpts"] = [MASKED]
        elements = result.elements
        if isinstance(elements, dict) and isinstance(found := elements.get("rows"), list):
            kept: list[JSON] = [
                {name: hidden.get(name, cell) for name, cell in row.items()} for row in found if isinstance(row, dict)
            ]
            elements = {**elements, "rows": kept}
        coverage = result.coverage
        return replace(
            result,
            elements=elements,
            errors=tuple(MASKED for _ in result.errors),
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )


def _wanted(names: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Whether a process is asked for, by the paths of its executable.

    Every expression must be found in one of them, or in none where it begins with ``!``.
    """
    from mig_endpoint.finding.checks import without_inversion
    from mig_endpoint.finding.patterns import Pattern

    patterns = []
    for name in names:
        text, inverted = without_inversion(name)
        patterns.append((Pattern(text), inverted))

    def wanted(paths: Sequence[str]) -> bool:
        return all(
            any(pattern.matches(path.encode("utf-8", "replace")) for path in paths) != inverted
            for pattern, inverted in patterns
        )

    return wanted


def _result(
    asked: Question,
    found: Sequence[dict[str, JSON]],
    tally: Tally,
    started: int,
    examined: Mapping[str, int] | None = None,
) -> ModuleResult:
    from importlib.metadata import version

    elements: dict[str, JSON] = {"rows": [*found]}
    if found:
        elements["columns"] = head(COLUMNS)
    statistics: dict[str, JSON] = {
        "engine": f"yara-x {version('yara-x')}",
        "rules": asked.rules.count,
        "totalhits": len(found),
        "exectime": duration_text(time.monotonic_ns() - started),
    }
    coverage = tally.coverage()
    coverage = replace(coverage, examined={**(examined or {}), **coverage.examined})
    return ModuleResult(bool(found), True, elements, statistics, tally.errors(), coverage)
