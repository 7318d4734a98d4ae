"""Actions: the questions investigators sign (version 3).

The JSON names are those of the original program where it has one. Unknown keys are refused: a misspelt filter must not
widen a question. What is signed is the payload's bytes, see :mod:`mig_core.domain.envelope`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump, load, members
from mig_core.domain.ids import ActionId, check_uuid
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument, TargetError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.document import JSON, Members
    from mig_core.domain.target import Target

SYNTAX_VERSION = 3
MAX_OPERATIONS = 64
MAX_WINDOW = timedelta(days=31)
"""Longest validity window: agents keep the ids they have run until it ends."""

_MODULE = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One module to run, with its parameters as the investigator wrote them."""

    module: str
    parameters: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class Action:
    """A question: what to run, where, and from when until when it may be run."""

    id: ActionId
    name: str
    target: str
    valid_from: datetime
    expire_after: datetime
    operations: tuple[Operation, ...]
    description: str = ""
    threat: str = ""

    def __post_init__(self) -> None:
        if not self.valid_from < self.expire_after:
            raise InvalidDocument("action", "must be later than validfrom", path="expireafter")
        if self.expire_after - self.valid_from > MAX_WINDOW:
            raise InvalidDocument(
                "action", f"must be at most {MAX_WINDOW.days} days after validfrom", path="expireafter"
            )

    def to_payload(self) -> bytes:
        """The bytes to be signed (inside an envelope of type ``ACTION``)."""
        document: dict[str, JSON] = {
            "syntaxversion": SYNTAX_VERSION,
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "threat": self.threat,
            "target": self.target,
            "validfrom": format_time(self.valid_from),
            "expireafter": format_time(self.expire_after),
            "operations": [{"module": one.module, "parameters": one.parameters} for one in self.operations],
        }
        return dump(document)

    def parsed_target(self) -> Target:
        """The target's tree. Actions that were read have been checked, so this does not raise for them."""
        from mig_core.domain.target import parse_target

        return parse_target(self.target)


def read_action(payload: bytes) -> Action:
    """The action in a payload whose signatures have been verified.

    Raises:
        InvalidDocument: it is not an action of version 3, or breaks a limit; the target is checked too.
    """
    fields = members(load(payload, subject="action", max_bytes=envelopes.MAX_ACTION_BYTES), subject="action")
    version = fields.integer("syntaxversion", minimum=0, maximum=1 << 31)
    if version != SYNTAX_VERSION:
        fields.refuse("syntaxversion", f"must be {SYNTAX_VERSION}, got {version}")
    identifier = ActionId(check_uuid(fields.take("id"), subject="action", path="id"))
    name = fields.text("name", max_length=2000)
    if not name.strip():
        fields.refuse("name", "must not be empty")
    description = fields.text("description", max_length=20_000, default="")
    threat = fields.text("threat", max_length=2000, default="")
    target = fields.text("target", max_length=8192)
    valid_from, expire_after = fields.time("validfrom"), fields.time("expireafter")
    operations = read_operations(fields)
    fields.close()
    check_target(target, subject="action")
    return Action(
        id=identifier,
        name=name,
        description=description,
        threat=threat,
        target=target,
        valid_from=valid_from,
        expire_after=expire_after,
        operations=operations,
    )


def read_operations(fields: Members) -> tuple[Operation, ...]:
    """What a document asks, of its member ``operations``.

    Raises:
        InvalidDocument: there is none, or something else.
    """
    operations = []
    for one in fields.objects("operations", minimum=1, maximum=MAX_OPERATIONS):
        module = one.text("module", max_length=32)
        if not _MODULE.fullmatch(module):
            one.refuse("module", f"must be a module's name (lower case letters, digits, _), got {module!r}")
        operations.append(Operation(module, one.mapping("parameters")))
        one.close()
    return tuple(operations)


def check_target(target: str, *, subject: str) -> None:
    """Refuses a target that cannot be read.

    Raises:
        InvalidDocument: names the position.
    """
    from mig_core.domain.target import parse_target  # who only asks need not wait for what reads targets

    try:
        parse_target(target)
    except TargetError as error:
        problem = f"{error.problem} at position {error.position}"
        raise InvalidDocument(subject, problem, path="target", next_step=error.next_step) from error


@dataclass(frozen=True, slots=True)
class Cancel:
    """A signed wish that an action be run no more. Any one investigator whom the agent's ACL knows may sign it."""

    action: ActionId
    reason: str
    issued_at: datetime

    def to_payload(self) -> bytes:
        """The bytes to be signed (inside an envelope of type ``CANCEL``)."""
        return dump({"action": self.action, "reason": self.reason, "issuedat": format_time(self.issued_at)})


def read_cancel(payload: bytes) -> Cancel:
    """The cancel in a payload whose signature has been verified.

    Raises:
        InvalidDocument: it is not one.
    """
    fields = members(load(payload, subject="cancel", max_bytes=65536), subject="cancel")
    action = ActionId(check_uuid(fields.take("action"), subject="cancel", path="action"))
    reason = fields.text("reason", max_length=2000, default="")
    issued_at = fields.time("issuedat")
    fields.close()
    return Cancel(action, reason, issued_at)
