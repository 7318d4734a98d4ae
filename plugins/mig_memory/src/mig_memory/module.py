"""The module itself: parameters in, result out. The composition root of the plugin.

Beside it only ``__init__``; everything it puts together is described there.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import duration_text
from mig_core.records import replace
from mig_memory import declaration, lines, rows
from mig_memory.columns import COLUMNS, ROWS_AT
from mig_memory.search import Search, read_searches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON
    from mig_memory.evaluation import Evaluation

MAX_FAILURES = 500
PARTIAL_INTERVAL = 2.0
"""Seconds between partial results, at least,"""
PARTIAL_SHARE = 20
"""and this many times what making the last one took, so that large answers do not eat the run."""


class MemoryModule(Module[tuple[Search, ...]]):
    """Finds processes by name, library, and content of their memory."""

    info = ModuleInfo(
        name="memory",
        summary="find processes by name, library, and content of their memory",
        needs_root=True,
        discloses="paths, ids and owners of matching processes, and the containers they live in",
        preload=(
            "re2",
            "ahocorasick_rs",
            "mig_endpoint.regex.finder",
            "mig_memory.evaluation",
            "mig_endpoint.processes.proc",
        ),
    )
    parameters = declaration.PARAMETERS
    columns = COLUMNS
    rows_at = ROWS_AT

    def __init__(self, partial_interval: float = PARTIAL_INTERVAL) -> None:
        """``partial_interval``: seconds between partial results, at least."""
        self._partial_interval = partial_interval

    def parse_parameters(self, raw: object, *, strict: bool = True) -> tuple[Search, ...]:
        """The searches. ``strict`` also refuses a search without any check.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return read_searches(raw, strict=strict)

    def run(self, parameters: tuple[Search, ...], context: Context) -> ModuleResult:
        """Searches; at the deadline returns what was found until then."""
        from mig_endpoint.processes.proc import Proc
        from mig_memory import reasons
        from mig_memory.evaluation import Evaluation

        started = time.monotonic_ns()
        tally = Tally(MAX_FAILURES)
        errors = []
        for one in parameters:
            if not one.checks:
                tally.skip(reasons.NO_CHECK)
                errors.append(f"search {one.label!r} has no check, so nothing can match")
        with Proc(tally) as proc, closing(Evaluation(parameters, proc, tally, context.remaining)) as evaluation:

            def result(*, partial: bool) -> ModuleResult:
                return _result(parameters, evaluation, tuple(errors), time.monotonic_ns() - started, partial=partial)

            due = time.monotonic() + self._partial_interval
            for _ in evaluation.look_at_all(context.threads):
                now = time.monotonic()
                if context.on_partial is not None and now >= due:
                    context.partial(result(partial=True))
                    took = time.monotonic() - now
                    due = now + took + max(self._partial_interval, PARTIAL_SHARE * took)
            return result(partial=False)

    def failure(self, *errors: str) -> ModuleResult:
        """The result of an operation that could not even begin, in the original's shape."""
        statistics: dict[str, JSON] = {"processcount": 0, "memoryread": 0, "totalhits": 0, "exectime": ""}
        return replace(ModuleResult.failure(*errors, elements={}), statistics=statistics)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each row, as the original prints them, then failures, what was skipped, and statistics."""
        return lines.lines(result, found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without anything but names and ids of processes, which the original discloses too."""
        coverage, statistics = result.coverage, result.statistics
        if isinstance(statistics, dict) and "failures" in statistics:
            failures = statistics["failures"]
            statistics = statistics | {"failures": ["masked"] * (len(failures) if isinstance(failures, list) else 1)}
        return replace(
            result,
            elements=rows.masked(result.elements),
            statistics=statistics,
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )


def _result(
    searches: tuple[Search, ...], evaluation: Evaluation, errors: tuple[str, ...], nanoseconds: int, *, partial: bool
) -> ModuleResult:
    tally = evaluation.tally
    statistics: dict[str, JSON] = {
        "processcount": tally.count("processes"),
        "memoryread": tally.count("bytes"),
        "totalhits": evaluation.hits,
    }
    if failures := tally.errors():
        statistics["failures"] = [*failures]
    statistics["exectime"] = duration_text(nanoseconds)
    coverage = tally.coverage()
    if partial:
        coverage = replace(coverage, complete=False)
    found = rows.elements(searches, evaluation.slots)
    return ModuleResult(evaluation.hits > 0, True, found, statistics, errors, coverage)
