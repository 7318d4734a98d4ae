"""Queued jobs of at(1): the name has queue, number and time, the head of the script has the user (at 3.2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_autorun.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.finding import Found
    from mig_autorun.system import System

_NAME = re.compile(r"([A-Za-z=])([0-9a-f]{5})([0-9a-f]{8})")
_HEAD = re.compile(r"^# atrun uid=(\d{1,10}) gid=(\d{1,10})$", re.MULTILINE)
_MARK = re.compile(r"<<\s*'?(marcinDELIMITER[0-9a-f]+)'?\n(.*?)\n?\1", re.DOTALL)


def at_job(found: Found, system: System) -> Iterator[Entry]:
    """The entry of one queued job."""
    file = found.file
    parts = _NAME.fullmatch(file.name)
    if parts is None or file.status is None:
        return
    text = system.text(file)
    head = _HEAD.search(text)
    uid = int(head[1]) if head else None
    state = ""
    if file.link or not file.is_file:
        state = "a link: not run"
    elif not file.status.st_mode & 0o100:
        state = "not executable: not run"
    elif uid is None or uid != file.status.st_uid:
        state = "owner and head disagree: not run"
    elif parts[1] == "=":
        state = "running"
    minutes = int(parts[3], 16)
    when = datetime.fromtimestamp(minutes * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")
    yield Entry(
        "at",
        f"{int(parts[2], 16)}",
        file.path,
        file.status,
        key=f"queue {parts[1]}",
        command=_command(text),
        user=system.user_name(uid) if uid is not None else None,
        when=when,
        enabled=not state or state == "running",
        state=state,
    )


def _command(text: str) -> str:
    """What the job's author wrote, behind the environment that at puts in front."""
    marked = _MARK.search(text)
    if marked:
        return marked[2].strip()
    return text.rpartition("\n}\n")[2].strip()
