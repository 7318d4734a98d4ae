"""Messages as a relay sees them: opaque bytes with an address. What is inside is a signed document or a command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId


MAX_PIECE_BYTES = 1_000_000
"""Largest body of one request to the ``https`` relay: proxies commonly take 1 MB. Larger results travel in pieces."""
MAX_PIECES = 4096


class Kind(StrEnum):
    """What an agent sends."""

    RESULT = "result"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for one agent. ``expires``: not worth delivering after this moment."""

    agent: AgentId
    body: bytes
    expires: datetime
    kept: bool = False
    """Its sender keeps it until it is answered, and hands it over again if the relay has lost it: a relay with an
    :attr:`~mig_core.relay.base.PlatformRelay.epoch` need not write it to disk."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from an agent.

    ``agent`` is who was logged in to the relay, empty when it cannot tell: good for counting, proof of nothing.
    """

    kind: Kind
    agent: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a result that is larger than one request should be: of its zlib stream, cut at will."""

    upload: str
    """Names the whole, for its agent: pieces of one name belong together."""
    number: int
    count: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """Bytes that wait to be recorded."""

    total: int
    by_agent: Mapping[str, int]
    """Of those agents of which most waits."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message claimed by an agent's poll: acknowledged by its ``id``."""

    id: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one agent hands in to the queue behind the ``https`` relay at once, and how much it takes."""

    agent: AgentId
    session: str
    """Names the agent's process."""
    limit: int
    """Most messages it takes; 0: none are looked for."""
    messages: Sequence[tuple[Kind, bytes]] = ()
    acknowledged: Sequence[int] = ()
    held: Sequence[int] = ()
    """Messages that it was given and has not acknowledged: not given again."""
    check: bool = True
    """Whether to ask if this process is the one that receives."""
