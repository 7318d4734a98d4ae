"""Where agents stand: a file of its own, because targets know these words and nothing else of agents."""

from __future__ import annotations

from enum import StrEnum


class AgentState(StrEnum):
    """Where an agent stands, as the platform sees it."""

    PENDING = "pending"
    """Enrolled without the secret: waits for ``mig agent approve``."""
    ONLINE = "online"
    """Its heartbeats arrive."""
    IDLE = "idle"
    """Some heartbeats are missing."""
    OFFLINE = "offline"
    """It said goodbye, or no heartbeat came for long; its commands wait until they expire."""
    RETIRED = "retired"
    """Taken out for good; its key is refused."""
