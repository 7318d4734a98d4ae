"""A result as lines for a person. The result may come from a hostile endpoint: nothing in it is taken for granted.

The form is the original's, so that scripts that read it go on working; what it did not know follows at the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNREMARKABLE = "installed"


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """The lines. ``found_only`` leaves out errors, statistics and what was not looked at."""
    packages = _mapping(result.elements).get("packages")
    for row in packages if isinstance(packages, list) else []:
        yield _printable(_row(_mapping(row)))
    if found_only:
        return
    for error in result.errors:
        yield _printable(error)
    for skipped in result.coverage.skipped:
        examples = f" ({', '.join(skipped.examples)})" if skipped.examples else ""
        yield _printable(f"Not looked at: {skipped.count} {skipped.reason}{examples}")
    if not result.coverage.complete:
        yield "The answer is not complete."
    statistics = _mapping(result.statistics)
    if statistics:
        yield _printable(f"Statistics: runtime {statistics.get('execruntime')}")


def _row(row: Mapping[str, JSON]) -> str:
    line = f"pkgmatch name={row.get('name')} version={row.get('version')} type={row.get('type')} arch={row.get('arch')}"
    if row.get("state") not in (None, "", _UNREMARKABLE):
        line += f" state={row['state']}"
    for key in ("selection", "path"):
        if row.get(key):
            line += f" {key}={row[key]}"
    return line


def _printable(line: str) -> str:
    """Without control characters: a package's name must not forge another line or drive the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", line)


def _mapping(value: object) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
