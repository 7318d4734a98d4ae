"""The module itself: parameters in, result out. The composition root of the plugin.

Beside it only ``__init__``; everything it puts together is described there.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import duration_text
from mig_core.records import replace
from mig_pkg import declaration, lines
from mig_pkg.columns import COLUMNS, ROWS_AT
from mig_pkg.request import Request, read_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_pkg.selection import Selection

MAX_ERRORS = 100
"""Errors in an answer, at most."""
PARTIAL_INTERVAL = 2.0
"""Seconds between partial results, at least."""
PARTIAL_EVERY = 500
"""Packages between looks at the clock for a partial result."""


class PkgModule(Module[Request]):
    """Finds installed packages by name and version."""

    info = ModuleInfo(
        name="pkg",
        summary="find installed packages by name and version",
        discloses="names, versions, architectures and states of matching packages; paths of python, npm and gem ones",
        preload=("re2", "mig_pkg.inventory", "mig_pkg.selection"),
    )
    parameters = declaration.PARAMETERS
    columns = COLUMNS
    rows_at = ROWS_AT

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Request:
        """The request.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return read_request(raw, strict=strict)

    def run(self, parameters: Request, context: Context) -> ModuleResult:
        """Looks through every database asked for; at the deadline returns what was found until then."""
        from mig_core.plugin.coverage import Tally
        from mig_endpoint.files.doorways import root_of
        from mig_endpoint.packages.site import Site
        from mig_endpoint.packages.tree import Tree
        from mig_pkg import inventory
        from mig_pkg.selection import Selection

        started = time.monotonic_ns()
        if not os.path.isdir(parameters.root):
            return ModuleResult.failure(f"root {parameters.root!r:.200} is not a directory on this endpoint")
        tally = Tally(MAX_ERRORS)
        tally.examined("packages", 0)
        selection = Selection(parameters, tally)

        def hand_over() -> None:
            context.partial(_result(selection, tally, started, is_partial=True))

        site = Site(Tree(root_of(parameters.root)), tally, context.remaining, parameters.paths, hand_over)
        next_partial = time.monotonic() + PARTIAL_INTERVAL
        for count, package in enumerate(inventory.packages(parameters, site)):
            selection.offer(package)
            if count % PARTIAL_EVERY == 0 and context.on_partial is not None and time.monotonic() >= next_partial:
                hand_over()
                next_partial = time.monotonic() + PARTIAL_INTERVAL
        return _result(selection, tally, started)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """A line for each package, as the original prints them, then errors and statistics."""
        return lines.lines(result, found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without paths. Names and versions stay: they are what was asked."""
        coverage = result.coverage
        return replace(
            result,
            elements=_without_paths(result.elements),
            errors=tuple("masked" for _ in result.errors),
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )


def _result(selection: Selection, tally: Tally, started: int, *, is_partial: bool = False) -> ModuleResult:
    coverage = tally.coverage()
    if is_partial:
        coverage = replace(coverage, complete=False)
    statistics: dict[str, JSON] = {"execruntime": duration_text(time.monotonic_ns() - started)}
    return ModuleResult(selection.found, True, selection.elements(), statistics, tally.errors(), coverage)


def _without_paths(elements: JSON) -> JSON:
    if not isinstance(elements, dict) or not isinstance(packages := elements.get("packages"), list):
        return elements
    rows: list[JSON] = [
        {**row, "path": "masked"} if isinstance(row, dict) and "path" in row else row for row in packages
    ]
    return {**elements, "packages": rows}
