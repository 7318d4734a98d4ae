"""A result as lines for a person. The result may come from a hostile endpoint: nothing in it is taken for granted.

The form is the original's, so that scripts that read it go on working; what it did not know follows at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import coverage_lines, entries, mapping, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

_UNREMARKABLE = "installed"


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """The lines. ``found_only`` leaves out errors, statistics and what was not looked at."""
    for row in entries(mapping(result.elements).get("packages")):
        yield printable(_row(mapping(row)))
    if found_only:
        return
    for error in result.errors:
        yield printable(error)
    yield from coverage_lines(result.coverage)
    statistics = mapping(result.statistics)
    if statistics:
        yield printable(f"Statistics: runtime {statistics.get('execruntime')}")


def _row(row: Mapping[str, JSON]) -> str:
    line = f"pkgmatch name={row.get('name')} version={row.get('version')} type={row.get('type')} arch={row.get('arch')}"
    if row.get("state") not in (None, "", _UNREMARKABLE):
        line += f" state={row['state']}"
    for key in ("selection", "path"):
        if row.get(key):
            line += f" {key}={row[key]}"
    return line
