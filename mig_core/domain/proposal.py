"""A proposal: a question that somebody would like asked, and why. Nobody has signed it, and agents know nothing of it.

It becomes a question when an investigator signs an action with the same content; until then it is only text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.action import MAX_WINDOW, Action, Operation, check_target, read_operations
from mig_core.domain.document import dump, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

MAX_REASON = 4000
MAX_AUTHOR = 200
DEFAULT_EXPIRY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed."""

    name: str
    target: str
    operations: tuple[Operation, ...]
    reason: str
    """Why it should be asked, for the person who decides."""
    author: str
    """Who says so, in their own word: an assistant's or a playbook's name. Nobody has checked it."""
    expiry: timedelta = DEFAULT_EXPIRY
    """How long agents may take, from the moment it is signed."""
    description: str = ""
    threat: str = ""

    def to_payload(self) -> bytes:
        """The document."""
        operations: list[JSON] = [{"module": one.module, "parameters": one.parameters} for one in self.operations]
        return dump(
            {
                "name": self.name,
                "target": self.target,
                "operations": operations,
                "reason": self.reason,
                "author": self.author,
                "expiryseconds": int(self.expiry.total_seconds()),
                "description": self.description,
                "threat": self.threat,
            }
        )

    def is_asked_by(self, action: Action) -> bool:
        """Whether an action asks exactly what is proposed, of exactly those."""
        return (action.name, action.target, action.operations) == (self.name, self.target, self.operations)


def read_proposal(payload: bytes) -> Proposal:
    """The proposal in a document.

    Raises:
        InvalidDocument: it is none, or breaks a limit; the target is checked too.
    """
    fields = members(load(payload, subject="proposal", max_bytes=MAX_ACTION_BYTES), subject="proposal")
    name = fields.text("name", max_length=2000).strip()
    target = fields.text("target", max_length=8192)
    operations = read_operations(fields)
    reason = fields.text("reason", max_length=MAX_REASON).strip()
    author = fields.text("author", max_length=MAX_AUTHOR, default="").strip()
    longest = int(MAX_WINDOW.total_seconds())
    default = int(DEFAULT_EXPIRY.total_seconds())
    seconds = fields.integer("expiryseconds", minimum=1, maximum=longest, default=default)
    description = fields.text("description", max_length=20_000, default="")
    threat = fields.text("threat", max_length=2000, default="")
    fields.close()
    for key, text in (("name", name), ("reason", reason)):
        if not text:
            fields.refuse(key, "must not be empty")
    check_target(target, subject="proposal")
    return Proposal(name, target, operations, reason, author, timedelta(seconds=seconds), description, threat)
