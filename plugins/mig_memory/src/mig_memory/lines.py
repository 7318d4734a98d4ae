"""A result as lines for a person. The result may come from a hostile endpoint: nothing in it is taken for granted.

The form is the original's, so that scripts that read it go on working; what it did not know comes at the end of a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import coverage_lines, entries, mapping, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

_WORDS = (("names", "name"), ("libraries", "library"), ("contents", "content"), ("bytes", "byte"))


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """The lines. ``found_only`` leaves out what was not found, failures, statistics and what was skipped."""
    for label, found in mapping(result.elements).items():
        for row in entries(found):
            line = _row(label, mapping(row), found_only=found_only)
            if line:
                yield printable(line)
    if found_only:
        return
    for error in result.errors:
        yield printable(error)
    statistics = mapping(result.statistics)
    failures = entries(statistics.get("failures"))
    for failure in failures:
        yield printable(f"Failure: {failure}")
    yield from coverage_lines(result.coverage)
    if statistics:
        yield printable(
            f"Statistics: {statistics.get('processcount')} processes checked, {statistics.get('totalhits')} matched, "
            f"{len(failures)} failures, ran in {statistics.get('exectime')}."
        )


def _row(label: str, row: Mapping[str, JSON], *, found_only: bool) -> str:
    search, process = mapping(row.get("search")), mapping(row.get("process"))
    checks = ""
    if not mapping(search.get("options")).get("matchall"):
        parts = [f"{word}='{value}'" for key, word in _WORDS for value in entries(search.get(key))]
        checks = f" on checks {' '.join(parts)}" if parts else ""
    if not process.get("name"):
        return "" if found_only else f"0 match found in search '{label}'{checks}"
    return f"{process['name']} [pid:{process.get('pid')}] in search '{label}'{checks}{_beyond(process)}"


def _beyond(process: Mapping[str, JSON]) -> str:
    """What is unusual about a process: a deleted executable, another file system, a container."""
    notes = []
    if process.get("deleted"):
        notes.append(f"deleted executable {process.get('executable')}")
    elif process.get("executable"):
        notes.append(f"executable {process['executable']} in another file system")
    if process.get("container"):
        notes.append(f"container {process['container']}")
    if notes and process.get("user"):
        notes.append(f"user {process['user']}")
    return f" ({', '.join(notes)})" if notes else ""
