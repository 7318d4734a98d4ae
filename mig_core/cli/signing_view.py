"""What a person sees before signing: out of the very bytes that get signed, never from a server's description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_core.cli.terminal import data, note

if TYPE_CHECKING:
    from mig_core.domain.envelope import Envelope


def show_content(envelope: Envelope, evaluated: dict[str, Any] | None = None) -> None:
    """Exactly what is to be signed and, where a platform was asked, who would be asked."""
    data(json.dumps(json.loads(envelope.payload), indent=2, ensure_ascii=True))
    if evaluated is None:
        return
    names = ", ".join(one["name"] for one in evaluated["agents"])
    more = evaluated["count"] - len(evaluated["agents"])
    note(f"would be asked: {evaluated['count']} agents: {names}{f' and {more} more' if more > 0 else ''}")
