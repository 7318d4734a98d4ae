"""A result as lines for a person. The result may come from a hostile endpoint: nothing in it is taken for granted.

The form is the original's, so that scripts that read it go on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import coverage_lines, entries, mapping, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

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
    ("types", "type"),
    ("ctimes", "ctime"),
    ("btimes", "btime"),
    ("owners", "owner"),
    ("groups", "group"),
    ("xattrs", "xattr"),
    ("capabilities", "capability"),
    ("hashes", "hashes"),
)


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """The lines. ``found_only`` leaves out what was not found, errors, statistics and what was skipped."""
    for label, found in mapping(result.elements).items():
        for row in entries(found):
            line = _row(label, mapping(row), found_only=found_only)
            if line:
                yield printable(line)
    if found_only:
        return
    for error in result.errors:
        yield printable(error)
    yield from coverage_lines(result.coverage)
    statistics = mapping(result.statistics)
    if statistics:
        yield printable(
            f"Statistics: {statistics.get('filescount')} files checked, {statistics.get('openfailed')} failed to open, "
            f"{statistics.get('totalhits')} matched, ran in {statistics.get('exectime')}."
        )


def _row(label: str, row: Mapping[str, JSON], *, found_only: bool) -> str:
    search, info = mapping(row.get("search")), mapping(row.get("fileinfo"))
    checks = ""
    if not mapping(search.get("options")).get("matchall"):
        parts = [f"{word}='{value}'" for key, word in _ORDER for value in entries(search.get(key))]
        checks = f" on checks {' '.join(parts)}" if parts else ""
    if not row.get("file"):
        return "" if found_only else f"0 match found in search '{label}'{checks}"
    facts = f"lastmodified:{info.get('lastmodified')}, mode:{info.get('mode')}, size:{info.get('size')}"
    if info.get("sha256"):
        facts += f", sha256:{str(info['sha256']).lower()}"
    if info.get("hash"):
        facts += f", hash:{info['hash']}"
    if row.get("target"):
        facts += f", target:{row['target']}"
    path = f"{row['file']}!{row['member']}" if row.get("member") else row["file"]
    return f"{path} [{facts}] in search '{label}'{checks}"
