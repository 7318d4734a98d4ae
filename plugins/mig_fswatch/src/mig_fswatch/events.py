"""The alerts: what leaves the endpoint. ``docs/modules/fswatch.md`` explains each member."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

from mig_endpoint.files.naming import exact_uri, shown
from mig_endpoint.user_names import user_name
from mig_fswatch.changes import MOVED
from mig_fswatch.entry import utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.domain.document import JSON
    from mig_fswatch.actors import Actor
    from mig_fswatch.changes import Change

SCHEMA = 1
UNKNOWN = "unknown"
MOST_OTHERS = 5
FOLDED_MOST = 1000
"""Changes that one folded alert names ..."""
FOLDED_BYTES = 600_000
"""... and about how many bytes it may have."""
REST_BYTES = 400
"""What a change has besides its paths, at most."""


def time_text(seconds: float) -> str:
    """A time in UTC, to milliseconds."""
    return utc(int(seconds * 1000) * 1_000_000)


def by(actor: Actor | None) -> dict[str, JSON]:
    """Who it was; ``unknown`` and null where that is not known."""
    if actor is None:
        return {"pid": None, "executable": UNKNOWN, "user": UNKNOWN}
    told: dict[str, JSON] = {
        "pid": actor.pid,
        "executable": UNKNOWN if actor.executable is None else shown(actor.executable),
        "user": UNKNOWN if actor.uid is None else user_name(actor.uid),
    }
    if actor.uid is not None:
        told["uid"] = actor.uid
    if actor.name is not None:
        told["name"] = actor.name
    if actor.parent is not None:
        told["parent"] = actor.parent
    if actor.login_uid is not None:
        told["login_user"] = user_name(actor.login_uid)
    return told


def last_actor(change: Change) -> Actor | None:
    """Who changed it last, of those of whom most is known."""
    actors = list(change.actors)
    return next((one for one in reversed(actors) if one.executable is not None), actors[-1] if actors else None)


def one_change(change: Change) -> dict[str, JSON]:
    """The alert for one change."""
    event: dict[str, JSON] = {
        "schema": SCHEMA, "type": "file_change", "time": time_text(change.last), "change": change.kind,
        "path": shown(change.path),
    }  # fmt: skip
    if uri := exact_uri(change.path):
        event["uri"] = uri
    if change.moved_from:
        event["from"] = shown(change.moved_from)
    if differs := change.differs():
        event["differs"] = list(differs)
    for name, entry in (("before", change.old), ("after", change.new), ("replaced", change.replaced)):
        if entry is not None:
            event[name] = entry.to_json()
    last = last_actor(change)
    event["by"] = by(last)
    if others := [by(one) for one in change.actors if one is not last][:MOST_OTHERS]:
        event["others"] = list(others)
    return event | {"seen": change.seen, "events": change.events}


def folded(
    changes: Sequence[Change], kind: str, more: dict[str, JSON] | None = None
) -> Iterator[tuple[dict[str, JSON], Sequence[Change]]]:
    """Alerts that name many changes shortly, and which ones; all of them, in as many alerts as it takes."""
    pieces = list(_pieces(changes))
    for number, piece in enumerate(pieces, start=1):
        whose: Counter[str] = Counter()
        for one in piece:
            actor = last_actor(one)
            whose[UNKNOWN if actor is None or actor.executable is None else shown(actor.executable)] += 1
        event: dict[str, JSON] = {
            "schema": SCHEMA, "type": kind, "time": time_text(max(one.last for one in piece)),
            "since": time_text(min(one.first for one in piece)), "total": len(piece),
            "counts": dict(Counter(one.kind for one in piece)), "below": shown(_common(piece)),
            "executables": dict(whose.most_common(20)), "seen": piece[0].seen, "part": number, "parts": len(pieces),
            "changes": [_short(one) for one in piece],
        }  # fmt: skip
        yield event | (more or {}), piece


def row(change: Change, package: str = "") -> dict[str, JSON]:
    """The row of ``mig fswatch`` for one change."""
    who = by(last_actor(change))
    now = change.new or change.old
    cells: dict[str, JSON] = {
        "time": time_text(change.last), "change": change.kind, "path": shown(change.path), "executable":
        who["executable"], "user": who["user"], "pid": who["pid"], "seen": change.seen, "events": change.events,
    }  # fmt: skip
    if change.moved_from:
        cells["moved_from"] = shown(change.moved_from)
    if differs := change.differs():
        cells["differs"] = list(differs)
    if package:
        cells["package_manager"] = package
    if now is not None:
        cells["kind"] = now.kind
        cells["mode"] = f"{now.mode:04o}"
        if now.kind == "file":
            cells["size"] = now.size
            cells["sha256"] = now.sha256.hex() if now.sha256 else None
    return cells


def _short(change: Change) -> dict[str, JSON]:
    told: dict[str, JSON] = {"change": change.kind, "path": shown(change.path)}
    if uri := exact_uri(change.path):
        told["uri"] = uri
    if change.kind == MOVED:
        told["from"] = shown(change.moved_from)
    if differs := change.differs():
        told["differs"] = list(differs)
    if change.new is not None:
        told["mode"] = f"{change.new.mode:04o}"
        if change.new.sha256 is not None:
            told["sha256"] = change.new.sha256.hex()
    actor = last_actor(change)
    if actor is not None:
        who = by(actor)
        told["by"] = {name: who[name] for name in ("pid", "executable", "user")}
    return told


def _pieces(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    begin, room = 0, FOLDED_BYTES
    for at, one in enumerate(changes):
        room -= len(json.dumps((shown(one.path), shown(one.moved_from)))) + REST_BYTES
        if at - begin >= FOLDED_MOST or (room < 0 and at > begin):
            yield changes[begin:at]
            begin, room = at, FOLDED_BYTES
    if begin < len(changes):
        yield changes[begin:]


def _common(changes: Sequence[Change]) -> str:
    return os.path.commonpath([os.path.dirname(one.path) or "/" for one in changes])
