"""What one process of simulated agents counts."""

from __future__ import annotations

from dataclasses import dataclass, field

_COMPLAINTS = 5


@dataclass(slots=True)
class Counts:
    """Sums over the agents of one process."""

    enrolled: int = 0
    listening: int = 0
    received: int = 0
    """Commands and cancels that came over the relay, repeated ones too."""
    repeated: int = 0
    """Of these, such as were cancels, or commands that the agent had run: nothing is run twice."""
    answered: int = 0
    """Answers that the relay took."""
    broken: int = 0
    """Connections that ended before their time."""
    complaints: list[str] = field(default_factory=list)
    """The first few things that went wrong."""

    def complain(self, text: str) -> None:
        """Keeps it, if there is room."""
        if len(self.complaints) < _COMPLAINTS:
            self.complaints.append(text)
