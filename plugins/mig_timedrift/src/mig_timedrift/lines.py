"""A result as lines for a person: the original's, and one for each source. It may come from a hostile endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import coverage_lines, entries, mapping, printable, row_text
from mig_timedrift.declaration import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.columns import Row


def lines(result: ModuleResult, rows: Iterator[Row], *, found_only: bool) -> Iterator[str]:
    """Local time and verdict; unless ``found_only`` also each source, errors, statistics and what was not looked at."""
    said = mapping(result.elements)
    yield printable(f"local time is {said.get('localtime')}")
    if said.get("hascheckeddrift") is True:
        within = said.get("iswithindrift") is True
        yield f"local time is {'within acceptable drift' if within else 'out of sync'} from NTP servers"
        yield from (printable(str(one)) for one in entries(said.get("drifts")))
    if found_only:
        return
    yield from (printable(row_text((one.name for one in COLUMNS), row)) for row in rows)
    for error in result.errors:
        yield "error:"
        yield printable(error)
    yield from coverage_lines(result.coverage)
    yield from map(printable, _statistics(result.statistics))
    yield f"timedrift module has {'succeeded' if result.success else 'failed'}"


def _statistics(statistics: JSON) -> Iterator[str]:
    said = mapping(statistics)
    yield f"stat: execution time was {said.get('exectime')}"
    for entry in entries(said.get("ntpstats")):
        one = mapping(entry)
        if one.get("reachable") is True:
            text = f"responded in {one.get('latency')} with time {one.get('time')}."
            text = f"{text} local time drifts by {one.get('drift')}"
        else:
            text = "was unreachable"
        yield f"stat: {one.get('host')} {text}"
