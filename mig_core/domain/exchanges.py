"""How an agent and mig-api write what they exchange over the ``https`` relay: one request hands in and fetches.

A request is a line of JSON, and behind it each message it carries, as the agent made it::

    {"session":"…","wait":30,"max":8,"acknowledged":[17,18]}
    result 1234
    …1234 bytes…heartbeat 900
    …900 bytes…

The answer is a JSON object with the messages for the agent. What the request carried is stored for good as soon as the
answer's head says 200; its body may come much later. Messages travel as bytes: nobody reads what is not for them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.messages import MAX_PIECE_BYTES, Kind
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from mig_core.domain.document import JSON
    from mig_core.domain.messages import Claimed

MAX_WAIT = 60
"""Longest poll in seconds."""
MAX_MESSAGES = 50
"""Most messages of one answer, and of one request."""
MAX_ACKNOWLEDGED = 1000
MAX_LINE = 32 << 10
MAX_BYTES = MAX_PIECE_BYTES + MAX_LINE
"""Of a whole request."""

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEYS = frozenset({"session", "wait", "max", "acknowledged"})
_KINDS = {kind.value.encode("ascii"): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent says with one request."""

    session: str
    """Names the agent's process."""
    wait: int
    """Seconds the answer may take when there is nothing to say."""
    limit: int
    """Most messages it takes now; 0: this is no poll."""
    acknowledged: Sequence[int] = ()
    messages: Sequence[tuple[Kind, bytes]] = field(default=(), repr=False)

    @property
    def carries(self) -> bool:
        """Whether it hands anything in."""
        return bool(self.messages or self.acknowledged)

    def to_bytes(self) -> bytes:
        """As it travels."""
        line = {
            "session": self.session,
            "wait": self.wait,
            "max": self.limit,
            "acknowledged": list(self.acknowledged),
        }
        parts = [json.dumps(line, separators=(",", ":")).encode("ascii"), b"\n"]
        for kind, body in self.messages:
            parts += [b"%b %d\n" % (kind.value.encode("ascii"), len(body)), body]
        return b"".join(parts)


def check_session(text: object) -> str:
    """A session's name.

    Raises:
        InvalidDocument: it is none.
    """
    if not isinstance(text, str) or not _SESSION.fullmatch(text):
        raise InvalidDocument("request", f"must be 1 to 64 letters, digits, - or _, got {text!r:.80}", path="session")
    return text


def read_request(body: bytes) -> Request:
    """What a request says.

    Raises:
        InvalidDocument: it is none.
    """
    end = body.find(b"\n", 0, MAX_LINE)
    if end < 0:
        _refuse("has no first line")
    try:
        said = json.loads(body[:end])
    except (ValueError, RecursionError):
        _refuse("has a first line that is not JSON")
    if not isinstance(said, dict) or said.keys() != _KEYS:
        _refuse(f"must say {', '.join(sorted(_KEYS))} in its first line, and nothing else")
    acknowledged = said["acknowledged"]
    if not isinstance(acknowledged, list) or len(acknowledged) > MAX_ACKNOWLEDGED:
        _refuse(f"must be a list of at most {MAX_ACKNOWLEDGED} ids", "acknowledged")
    return Request(
        check_session(said["session"]),
        _number(said["wait"], "wait", MAX_WAIT),
        _number(said["max"], "max", MAX_MESSAGES),
        tuple(_number(one, "acknowledged", (1 << 63) - 1) for one in acknowledged),
        _messages(body, end + 1) if end + 1 < len(body) else (),
    )


def write_answer(claimed: Sequence[Claimed]) -> bytes:
    """``{"messages": [{"id", "body"}]}``. The bodies are JSON of the scheduler's own making and go out as they are."""
    return b'{"messages":[' + b",".join(b'{"id":%d,"body":%b}' % (one.id, one.body) for one in claimed) + b"]}"


def write_problem(problem: dict[str, JSON]) -> bytes:
    """An answer that says why there are no messages, to a request whose messages were stored."""
    return dump({"messages": [], "problem": problem})


def _messages(body: bytes, start: int) -> tuple[tuple[Kind, bytes], ...]:
    messages: list[tuple[Kind, bytes]] = []
    while start < len(body):
        end = body.find(b"\n", start, start + 64)
        word, _, number = body[start:end].partition(b" ")
        kind = _KINDS.get(word)
        if end < 0 or kind is None or not number.isdigit() or len(messages) == MAX_MESSAGES:
            _refuse(f"must have a line `KIND LENGTH` before each of at most {MAX_MESSAGES} messages")
        start = end + 1 + int(number)
        message = body[end + 1 : start]
        if not message or start > len(body):
            _refuse("ends before its last message does" if message else "has an empty message")
        messages.append((kind, message))
    return tuple(messages)


def _number(value: object, path: str, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise InvalidDocument("request", f"must be a whole number from 0 to {largest}, got {value!r:.60}", path=path)
    return value


def _refuse(problem: str, path: str = "") -> NoReturn:
    raise InvalidDocument("request", problem, path=path)
