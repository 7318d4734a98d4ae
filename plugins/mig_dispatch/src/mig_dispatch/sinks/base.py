"""What every sink promises, and the words in which it says what became of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_dispatch.record import Alert


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a batch."""

    settled: int
    """So many alerts from the front need not be tried again: accepted, or refused for good."""
    refused: Mapping[int, str] = field(default_factory=dict)
    """Of them, those refused for good: place in the batch -> why."""
    trouble: str = ""
    """Why the rest was not settled; it is to be tried again. Empty when all is settled."""
    retry_after: float = 0.0
    """Seconds the sink asked us to wait."""


class Sink(Protocol):
    """One receiver. Used by one thread, except for :meth:`watch` and :meth:`interrupt`."""

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Hands over alerts, in order, and says what became of them. Expected trouble is a verdict, never raised.

        Whatever is settled without being refused has been accepted by the receiver, as far as its protocol tells.
        """
        ...

    def watch(self, now: float) -> None:
        """Called about twice a second, from another thread, with the monotonic time: breaks off what takes too long."""
        ...

    def interrupt(self) -> None:
        """Called from another thread when the module stops: whatever :meth:`deliver` waits for ends soon."""
        ...

    def close(self) -> None:
        """Closes connections and files; called by the delivering thread at its end."""
        ...
