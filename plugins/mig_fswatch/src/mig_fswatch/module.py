"""The module itself: what it is, its settings, its questions. ``watch`` does the work, in the module's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.persistent import PersistentModule
from mig_core.plugin.printing import coverage_lines, printable, row_text
from mig_core.records import replace
from mig_fswatch.columns import COLUMNS, ROWS_AT
from mig_fswatch.question import PARAMETERS, Question, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Service

MASKED = "masked"
ROUND_TRIP = 1
"""Seconds of the run that are left for the way of the answer."""
_STATUS = (
    "method", "baseline", "entries", "watched_fanotify", "watched_inotify", "events", "alerts", "waiting",
    "package_runs", "comparisons", "overflows", "compared", "compared_because",
)  # fmt: skip


class FswatchModule(PersistentModule[Question]):
    """Watches files."""

    info = ModuleInfo(
        name="fswatch",
        summary="tells which files change, and who changed them (persistent)",
        needs_root=True,
        discloses="paths, sizes, owners and hashes of files that changed, and which program changed them",
    )
    parameters = PARAMETERS
    columns = COLUMNS
    rows_at: ClassVar[str] = ROWS_AT

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Question:
        """The question.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return read(raw, strict=strict)

    def run(self, parameters: Question, context: Context) -> ModuleResult:
        """Asks the running module."""
        from mig_core.plugin.question import ask

        return ask(context, parameters.to_json(int(context.remaining()) - ROUND_TRIP))

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each change, one with the state, and what was not looked at."""
        for row in self.rows(result):
            yield printable(row_text((one.name for one in self.columns), row))
        if found_only:
            return
        elements = result.elements
        if isinstance(elements, dict) and isinstance(status := elements.get("status"), dict):
            yield printable(" ".join(f"{key}={status[key]}" for key in _STATUS if status.get(key) is not None))
            if isinstance(counts := status.get("changes"), dict):
                told = " ".join(f"{kind}={count}" for kind, count in counts.items())
                yield printable(f"changes since the module started: {told or 'none'}")
            if problem := status.get("problem"):
                yield printable(f"problem: {problem}")
        for error in result.errors:
            yield printable(error)
        yield from coverage_lines(result.coverage)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without paths and users."""
        elements = result.elements
        if isinstance(elements, dict) and isinstance(rows := elements.get("changes"), list):
            hidden = {one.name for one in self.columns if one.masked}
            kept: list[JSON] = [
                {name: MASKED if name in hidden and cell is not None else cell for name, cell in row.items()}
                for row in rows
                if isinstance(row, dict)
            ]
            elements = {**elements, "changes": kept}
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

    def check_config(self, config: Mapping[str, JSON]) -> None:
        """Returns when the table can be used; looks at no file.

        Raises:
            ConfigurationError: names the key's path.
        """
        from mig_fswatch import settings

        settings.read(config)

    def serve(self, service: Service) -> None:
        """Watches until the agent says stop.

        Raises:
            MigError: the kernel gives nothing to watch with.
        """
        from mig_fswatch.watch import Watch

        Watch(service).run()
