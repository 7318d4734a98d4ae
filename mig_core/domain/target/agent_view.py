"""What a target is matched against: one agent, as far as whoever matches knows it.

Three things are kept apart: a value; None, which is SQL's NULL (an agent that has no such thing); and :data:`UNKNOWN`,
which says that the one who matches cannot know, such as an agent asked for its own status on the platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final

from mig_core.domain.target.addresses import addresses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.target.tree import Answer


class Unknown(Enum):
    """The type of :data:`UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""Not to be known from here."""

Text = str | Unknown | None
Time = datetime | Unknown | None


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent as a target sees it; whatever is not given is unknown.

    ``os``, ``arch`` and ``ident`` are in ``environment``. Times must be aware. No text of the database holds a NUL; a
    NUL here is a character like any other.
    """

    id: Text = UNKNOWN
    name: Text = UNKNOWN
    version: Text = UNKNOWN
    mode: Text = UNKNOWN
    relay: Text = UNKNOWN
    pid: int | Unknown | None = UNKNOWN
    environment: Mapping[str, object] | Unknown = UNKNOWN
    """JSON object, as :mod:`json` reads one."""
    tags: Mapping[str, object] | Unknown = UNKNOWN
    addresses: Sequence[str] | Unknown = UNKNOWN
    """What :func:`addresses_of` returns; other texts are skipped."""
    status: Text = UNKNOWN
    heartbeat: Time = UNKNOWN
    starttime: Time = UNKNOWN
    answered: Callable[[Answer, str], bool] | Unknown = UNKNOWN
    """Whether the agent has a command of this action (canonical UUID) that answered like this."""

    @classmethod
    def of_itself(cls, facts: AgentFacts, *, relay: Text = UNKNOWN) -> AgentView:
        """The view an agent has of itself: what only the platform knows stays unknown.

        So does the start time: targets compare it with NOW(), which the platform evaluated earlier, by another clock.
        """
        return cls(
            id=facts.id,
            name=facts.name,
            version=facts.version,
            mode=facts.mode,
            relay=relay,
            pid=facts.pid,
            environment=facts.environment,
            tags=facts.tags,
            addresses=addresses_of(facts.environment),
        )
