"""The module itself: parameters in, result out. The composition root of the plugin.

Beside it only ``__init__``; everything it puts together is described there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import duration_text
from mig_core.records import replace
from mig_endpoint.finding import declaration, reasons
from mig_endpoint.finding.search import Search, read_searches
from mig_file import lines, rows
from mig_file.columns import COLUMNS, ROWS_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.finding.evaluation import Evaluation

PARTIAL_INTERVAL = 2.0
PARTIAL_SHARE = 20
"""The pause after a partial result is at least this many times what making it took: large ones must not eat the run."""


class FileModule(Module[tuple[Search, ...]]):
    """Finds files by name, size, mode, age, content and hash."""

    info = ModuleInfo(
        name="file",
        summary="find files by name, size, mode, age, content and hash",
        discloses="paths, sizes, modes and times of matching files, and their SHA-256 when asked for",
        # What a run imports costs each run's process 15 ms unless the agent's zygote has it already.
        preload=(
            "re2",
            "hashlib",
            "mig_endpoint.regex.finder",
            "ahocorasick_rs",
            "mig_endpoint.finding.evaluation",
            "mig_endpoint.finding.exploring",
            "mig_endpoint.finding.archives",
            "mig_endpoint.finding.workers",
        ),
    )
    parameters = declaration.PARAMETERS
    columns = COLUMNS
    rows_at = ROWS_AT

    def __init__(self, clock: Callable[[], int] = time.time_ns, partial_interval: float = PARTIAL_INTERVAL) -> None:
        """Takes what varies in tests.

        Args:
            clock: gives the time that ages are counted from, in nanoseconds since 1970.
            partial_interval: seconds between partial results, at least.
        """
        self._clock = clock
        self._partial_interval = partial_interval

    def parse_parameters(self, raw: object, *, strict: bool = True) -> tuple[Search, ...]:
        """The searches. ``strict`` also refuses a search without any filter.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return read_searches(raw, strict=strict)

    def run(self, parameters: tuple[Search, ...], context: Context) -> ModuleResult:
        """Searches; at the deadline returns what was found until then."""
        from mig_core.plugin.coverage import Tally
        from mig_endpoint.files import owners
        from mig_endpoint.finding import checks, exploring
        from mig_endpoint.finding.evaluation import Evaluation

        started = time.monotonic_ns()
        tally = Tally(_max_errors(parameters))
        evaluation = Evaluation(parameters, tally, context.expired, self._clock(), rows.keep, processes=context.threads)
        for one in parameters:
            if not one.has_filters:
                tally.skip(reasons.NO_FILTER)
                tally.error(f"search {one.label!r:.80} has no filter, so nothing can match")
            for database, name in checks.unknown_names(one):
                if not owners.all_names_are_known(database):
                    tally.skip(reasons.UNKNOWN_NAME, name)
                tally.error(f"{name!r:.80} is in no {database} file of this endpoint; a number is known everywhere")
            for contradiction in checks.contradictions(one):
                tally.skip(reasons.CONTRADICTION)
                tally.error(f"search {one.label!r:.80}: {contradiction}; without matchall any of them is meant")
        if context.on_partial is not None:
            evaluation.on_progress = _Progress(
                context, lambda: _result(evaluation, tally, started, partial=True), self._partial_interval
            )
        try:
            exploring.explore(parameters, evaluation, tally, context.remaining)
        finally:
            evaluation.close()
        return _result(evaluation, tally, started, partial=False)

    def failure(self, *errors: str) -> ModuleResult:
        """The result of an operation that could not even begin, in the original's shape."""
        statistics: dict[str, JSON] = {"filescount": 0, "openfailed": 0, "totalhits": 0, "exectime": ""}
        return replace(ModuleResult.failure(*errors, elements={}), statistics=statistics)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each row, as the original prints them, then errors and statistics."""
        return lines.lines(result, found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without any path that is not in the question."""
        coverage = result.coverage
        return replace(
            result,
            elements=rows.masked(result.elements),
            errors=tuple("masked" for _ in result.errors),
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )


class _Progress:
    """Hands over partial results, not too often."""

    def __init__(self, context: Context, make: Callable[[], ModuleResult], interval: float) -> None:
        self._context = context
        self._make = make
        self._interval = interval
        self._next = time.monotonic() + interval

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._context.partial(self._make())
        took = time.monotonic() - now
        self._next = now + took + max(self._interval, PARTIAL_SHARE * took)


def _max_errors(searches: tuple[Search, ...]) -> int:
    """The largest wish of all searches; 0, for all errors, is larger than any."""
    wishes = [one.options.maxerrors for one in searches]
    return 0 if 0 in wishes else max(wishes, default=0)


def _result(evaluation: Evaluation, tally: Tally, started: int, *, partial: bool) -> ModuleResult:
    elements: dict[str, JSON] = {run.search.label: rows.Rows(run.slots) for run in evaluation.runs}
    matches = sum(run.matches for run in evaluation.runs)
    statistics: dict[str, JSON] = {
        "filescount": evaluation.files,
        "openfailed": tally.failures,
        "totalhits": matches,
        "exectime": duration_text(time.monotonic_ns() - started),
    }
    coverage = tally.coverage()
    examined = {
        "files": evaluation.examined,
        "directories": tally.count("directories"),
        "bytes": evaluation.bytes_read,
    }
    if members := tally.count("members"):
        examined["members"] = members
    coverage = replace(coverage, examined=examined)
    if partial:
        coverage = replace(coverage, complete=False)
    return ModuleResult(matches > 0, True, cast("JSON", elements), statistics, tally.errors(), coverage)
