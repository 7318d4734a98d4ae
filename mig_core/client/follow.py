"""Server-sent events of an action, with reconnection: a broken connection costs time and no answer.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html; only what mig-api sends is understood.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_core.client.pages import MAX_ENTRIES
from mig_core.errors import ApiUnavailable
from mig_core.network.backoff import Backoff
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_EVENT_BYTES = 128 << 20
"""Largest event: one answer may be 32 MiB before JSON escapes it."""
PATIENCE = 60.0
"""Seconds without any event or comment, over all attempts, after which following is given up."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``kind`` is ``command`` (an answer), ``action`` (new counts), ``end`` (the last one) or ``tick``."""

    kind: str
    data: dict[str, Any]
    """The command or action document."""
    position: str = ""
    """Where to go on after this event."""


TICK = Event("tick", {})


def read_events(pieces: Iterable[bytes], url: str) -> Iterator[Event | None]:
    """The events in a stream's bytes; None for a comment, which says only that the other side is alive.

    Raises:
        ApiUnavailable: what comes is not what mig-api sends.
    """
    rest = bytearray()
    for piece in pieces:
        searched = max(0, len(rest) - 1)
        rest += piece
        while (end := rest.find(b"\n\n", searched)) >= 0:
            block, searched = bytes(rest[:end]), 0
            del rest[: end + 2]
            yield _event(block, url)
        if len(rest) > MAX_EVENT_BYTES:
            raise ApiUnavailable(url, f"sent an event of more than {MAX_EVENT_BYTES} bytes")


def _event(block: bytes, url: str) -> Event | None:
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        fields[name] = value.removeprefix(b" ")
    if b"event" not in fields or b"data" not in fields:
        return None
    try:
        document = json.loads(fields[b"data"])
    except (ValueError, RecursionError) as error:
        raise ApiUnavailable(url, "sent an event that is not JSON", next_step="is this mig-api?") from error
    if not isinstance(document, dict):
        raise ApiUnavailable(url, "sent an event that is not an object", next_step="is this mig-api?")
    return Event(
        fields[b"event"].decode("utf-8", "replace"), document, fields.get(b"id", b"").decode("ascii", "replace")
    )


def follow_events(
    connect: Callable[[str], Iterator[bytes]],
    position: str,
    url: str,
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
    ticks: bool = False,
) -> Iterator[Event]:
    """Events from ``position`` to ``end``, over as many connections as it takes.

    Args:
        connect: opens the stream at a position.
        url: for errors.
        ticks: whether an event ``tick`` is given when the other side only says that it is alive.

    Raises:
        ApiError: the API refuses (not found, logged out).
        ApiUnavailable: nothing was heard for :data:`PATIENCE` seconds, or answers come again.
    """
    heard, backoff = monotonic(), Backoff(FIRST_PAUSE, LONGEST_PAUSE)
    answers: set[str] = set()
    endless = False
    failure = ApiUnavailable(url, "the stream ended early")
    while True:
        pieces = connect(position)
        try:
            for heard_of in read_events(pieces, url):
                heard = monotonic()
                backoff.reset()
                if heard_of is None and not ticks:
                    continue
                event = heard_of or TICK
                if _comes_again(event, answers):
                    endless = True
                    break
                position = event.position or position
                yield event
                if event.kind == "end":
                    return
        except ApiUnavailable as error:
            failure = error
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        if endless:
            raise ApiUnavailable(url, "gives answers without end")
        if monotonic() - heard > PATIENCE:
            raise failure
        sleep(backoff.next())


def _comes_again(event: Event, answers: set[str]) -> bool:
    """Whether an answer was there before, or there are more than any action has; else it is remembered."""
    if event.kind != "command" or not event.position:
        return False
    again = event.position in answers or len(answers) >= MAX_ENTRIES
    answers.add(event.position)
    return again
