"""Waiting for a question's answers, and showing them as they arrive or as rows when they are there.

The first Ctrl-C stops watching and prints what there is; the question goes on, and ``mig action follow ID`` comes back
to it.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes
from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.formats import Format, Show
from mig_core.cli.terminal import RED, YELLOW, Progress, note
from mig_core.cli.waiting import OPEN, OfflineWatch, Waiting
from mig_core.client.explanation import cancelled
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.cli.row_options import RowOptions
    from mig_core.client.client import MigClient

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Following:
    """How answers are shown, and how long they are waited for."""

    show: Show = Show.FOUND
    format: Format = Format.TEXT
    waiting: Waiting = field(default_factory=Waiting)
    rows: RowOptions | None = None
    """How the answers' rows are shown when all have come; None: answers are shown as they come."""
    exit_found: bool = False
    printer: AnswerPrinter | None = None
    """Prints the answers; None: as every question's."""


def follow(client: MigClient, action: Document, following: Following) -> int:
    """Shows answers until the action has ended, or enough are there; returns the exit status."""
    watch = _Watch(client, action, following)
    started = time.monotonic()
    interrupted = False
    printer = following.printer
    if following.rows is None and printer is None:
        modules = [one["module"] for one in action["operations"]]
        printer = AnswerPrinter(modules, following.show, following.format)
    try:
        for answer in watch.answers():
            if printer is not None:
                printer.print(answer)
    except KeyboardInterrupt:
        interrupted = True
    watch.progress.clear()
    _finish(client, watch.action, printer, following.rows)
    if following.format is Format.TEXT or interrupted:
        note(f"{_counts(watch.action)}, in {time.monotonic() - started:.1f} s")
    if interrupted or watch.enough:
        why = "" if interrupted else f" ({watch.enough})"
        note(f"stopped watching{why}; the question goes on: mig action follow {action['id']}", YELLOW)
    if interrupted:
        return exit_codes.INTERRUPTED
    if watch.satisfied and not following.exit_found:
        return exit_codes.ALL_ANSWERED
    return _status(watch.action, exit_found=following.exit_found)


def _finish(client: MigClient, action: Document, printer: AnswerPrinter | None, rows: RowOptions | None) -> None:
    """What can only be said at the end: sums, or the rows."""
    if printer is not None:
        printer.finish(action)
    elif rows is not None:
        from mig_core.cli.row_output import print_rows

        print_rows(client, action, rows)
    if cancelled(action):
        note(cancelled(action), YELLOW)


class _Watch:
    """One look at a question, from its first answer on."""

    def __init__(self, client: MigClient, action: Document, following: Following) -> None:
        self._client = client
        self._waiting = following.waiting
        self._offline = OfflineWatch(client, following.waiting)
        self._leader = None
        if following.rows is not None and sys.stderr.isatty():
            from mig_core.cli.row_output import Leader

            self._leader = Leader(client, action, following.rows)
        self.action = action
        self.progress = Progress()
        self.enough = ""
        """Why it was left before the end."""
        self.satisfied = False
        """Whether what was to be waited for is there."""

    def answers(self) -> Iterator[Document]:
        """The answers as they arrive."""
        done = found = 0
        for event in self._client.follow(self.action["id"], tick=self._waiting.tick):
            if event.kind == "command":
                self.progress.clear()
                yield event.data
                done += 1
                found += bool(event.data["found"])
            elif event.kind != "tick":
                self.action = event.data
            self.progress.show(
                _progress(self.action, done, found) + ("" if self._leader is None else self._leader.text())
            )
            if event.kind == "end":
                return
            self.enough = self._waiting.enough(done, found, self.action["targeted"])
            self.satisfied = bool(self.enough)
            self.enough = self.enough or self._offline.nobody_left(self.action)
            if self.enough:
                self.action = self._client.action(str(self.action["id"]))
                return


def _progress(action: Document, done: int, found: int) -> str:
    """How far it is; the sums come now and then, answers may be ahead of them."""
    done = max(done, sum(count for state, count in action["counts"].items() if state not in OPEN))
    asked = f" of {action['targeted']}" if action["targeted"] else ""
    suffix = ", cancelled" if action.get("cancelled") else ""
    return f"{done}{asked} answered, {max(found, action['found'])} found{suffix}"


def _counts(action: Document) -> str:
    parts = [f"{count} {state}" for state, count in _ordered(action["counts"]) if count]
    total = action["targeted"]
    if not total:
        return action["reason"] or "no agent was asked"
    return f"{total} asked: {', '.join(parts)}"


def _ordered(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    order = ("success", "failed", "refused", "timeout", "killed", "cancelled", "expired", "sent", "queued")
    for state in order:
        if state in counts:
            yield state, counts[state]


def _status(action: Document, *, exit_found: bool) -> int:
    counts = {state: count for state, count in action["counts"].items() if count}
    if exit_found:
        return exit_codes.ALL_ANSWERED if action["found"] else exit_codes.ERROR
    if counts and set(counts) == {"refused"}:
        return exit_codes.REFUSED
    if not counts:
        note("no agent matches the target; see: mig agents", RED)
        return exit_codes.INCOMPLETE
    return exit_codes.ALL_ANSWERED if set(counts) == {"success"} else exit_codes.INCOMPLETE
