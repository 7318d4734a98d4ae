"""Rules that matched, as rows of ``columns``, and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import entries
from mig_endpoint.files.naming import exact_uri, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON
    from mig_endpoint.processes.process import Process
    from mig_yara.engine import Matched

MAX_META = 50
MAX_TEXT = 500
MAX_PATTERNS = 200
"""Of one rule; a rule of thousands of texts would fill an answer by itself."""


def of_file(matched: Matched, path: str, member: str, size: int, sha256: str) -> dict[str, JSON]:
    """The row of a file or member; paths as :func:`os.fsdecode` gives them."""
    row: dict[str, JSON] = {"file": shown(path)}
    if member:
        row["member"] = shown(member)
    row |= _of_rule(matched)
    row["size"] = size
    if sha256:
        row["sha256"] = sha256.lower()
    if not path.isascii() and (uri := exact_uri(path)):
        row["uri"] = uri
    return row


def of_process(matched: Matched, process: Process, name: str) -> dict[str, JSON]:
    """The row of a process; ``name`` as it is shown."""
    row: dict[str, JSON] = {"pid": process.pid, "process": name}
    try:
        if process.container:
            row["container"] = process.container
    except OSError:
        row["container"] = None
    return row | _of_rule(matched)


def _of_rule(matched: Matched) -> dict[str, JSON]:
    row: dict[str, JSON] = {"rule": matched.rule, "namespace": matched.namespace}
    if matched.tags:
        row["tags"] = list(matched.tags)
    if matched.meta:
        row["meta"] = [f"{name}={_text(value)}"[:MAX_TEXT] for name, value in matched.meta[:MAX_META]]
    found = matched.found[:MAX_PATTERNS]
    if found:
        row["patterns"] = [f"{one.pattern}={one.total}" for one in found]
        row["matches"] = [f"{one.pattern}@{offset:#x}:{length}" for one in found for offset, length, _ in one.places]
        excerpts: list[JSON] = [f"{one.pattern}={data.hex()}" for one in found for _, _, data in one.places if data]
        if excerpts:
            row["excerpts"] = excerpts
    return row


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).encode("utf-8", "replace").decode()


def line(row: Mapping[str, JSON]) -> str:
    """The row for a person; in front as the original has it, ``path [rule]``."""
    subject = str(row.get("file", ""))
    if row.get("member"):
        subject += f"!{row['member']}"
    if row.get("pid") is not None:
        subject = f"{row.get('process')} (pid {row['pid']})"
    places = " ".join(str(one) for one in entries(row.get("matches")))
    return f"{subject} [{row.get('rule')}] {places}".rstrip()
