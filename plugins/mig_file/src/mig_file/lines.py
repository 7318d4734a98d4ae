"""A result as lines for a person. The result may come from a hostile endpoint: nothing in it is taken for granted.

The form is the original's, so that scripts that read it go on working.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ORDER = (
    ("names", "name"),
    ("sizes", "size"),
    ("modes", "mode"),
    ("mtimes", "mtime"),
    ("contents", "content"),
    ("md5", "md5"),
    ("sha1", "sha1"),
    ("sha2", "sha2"),
    ("sha3", "sha3"),
)


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """The lines. ``found_only`` leaves out what was not found, errors, statistics and what was skipped."""
    for label, found in _mapping(result.elements).items():
        for row in found if isinstance(found, list) else []:
            line = _row(label, _mapping(row), found_only=found_only)
            if line:
                yield _printable(line)
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
        yield _printable(
            f"Statistics: {statistics.get('filescount')} files checked, {statistics.get('openfailed')} failed to open, "
            f"{statistics.get('totalhits')} matched, ran in {statistics.get('exectime')}."
        )


def _row(label: str, row: Mapping[str, JSON], *, found_only: bool) -> str:
    search, info = _mapping(row.get("search")), _mapping(row.get("fileinfo"))
    checks = ""
    if not _mapping(search.get("options")).get("matchall"):
        parts = [f"{word}='{value}'" for key, word in _ORDER for value in _list(search.get(key))]
        checks = f" on checks {' '.join(parts)}" if parts else ""
    if not row.get("file"):
        return "" if found_only else f"0 match found in search '{label}'{checks}"
    facts = f"lastmodified:{info.get('lastmodified')}, mode:{info.get('mode')}, size:{info.get('size')}"
    if info.get("sha256"):
        facts += f", sha256:{str(info['sha256']).lower()}"
    return f"{row['file']} [{facts}] in search '{label}'{checks}"


def _printable(line: str) -> str:
    """Without control characters: a file's name must not forge another line or drive the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", line)


def _mapping(value: object) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[JSON]:
    return value if isinstance(value, list) else []
