"""Actions that somebody wrote down: version 3, and the original program's unsigned version 2.

An action file says what is asked; id, window and (if missing) target are filled in when it is asked. Of a version 2
file, ``description`` and ``threat`` are objects and become text, signatures and the original's bookkeeping are left
out, and compressed parameters are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.client.compose import compose_action
from mig_core.domain.action import MAX_OPERATIONS, SYNTAX_VERSION, Operation, read_action
from mig_core.domain.document import kind_of, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from mig_core.domain.action import Action
    from mig_core.domain.document import JSON, Members

DEFAULT_TARGET = "status='online'"
ORIGINAL_VERSION = 2

_IGNORED = (
    "id",
    "validfrom",
    "expireafter",
    "pgpsignatures",
    "investigators",
    "status",
    "starttime",
    "finishtime",
    "lastupdatetime",
    "counters",
)
"""What the original writes into an action that was asked before; a new question has its own."""


def load_action_file(
    path: Path,
    *,
    expiry: timedelta,
    target: str | None = None,
    name: str = "",
    now: datetime | None = None,
    randomness: bytes | None = None,
) -> Action:
    """The action in a file, with a new id and a window that begins now; to be signed next.

    Args:
        expiry: until when it may be run, from now.
        target: instead of the file's.
        name: instead of the file's.
        now: as for :func:`~mig_core.client.compose.compose_action`, like ``randomness``.

    Raises:
        InvalidDocument: the file cannot be read, or is no action; names file and JSON path.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ACTION_BYTES + 1)
    except OSError as error:
        raise InvalidDocument(str(path), f"cannot be read: {error.strerror}") from error
    return read_action_file(
        raw, subject=path.name, expiry=expiry, target=target, name=name, now=now, randomness=randomness
    )


def read_action_file(
    raw: bytes,
    *,
    subject: str,
    expiry: timedelta,
    target: str | None = None,
    name: str = "",
    now: datetime | None = None,
    randomness: bytes | None = None,
) -> Action:
    """As :func:`load_action_file`, from bytes. ``subject`` names them in errors."""
    fields = members(load(raw, subject=subject, max_bytes=MAX_ACTION_BYTES), subject=subject)
    if fields.has("payloadType"):
        raise InvalidDocument(
            subject,
            "is a signed envelope, not an action file",
            path="payloadType",
            next_step="what is signed already is sent as it is; write the action itself into the file",
        )
    version = fields.integer("syntaxversion", minimum=0, maximum=1 << 31, default=ORIGINAL_VERSION)
    if version not in (ORIGINAL_VERSION, SYNTAX_VERSION):
        fields.refuse("syntaxversion", f"must be {ORIGINAL_VERSION} or {SYNTAX_VERSION}, got {version}")
    for key in _IGNORED:
        if fields.has(key):
            fields.take(key)
    written_name = fields.text("name", max_length=2000, default="")
    written_target = fields.text("target", max_length=8192, default="")
    description = _text_of(fields, "description")
    threat = _text_of(fields, "threat")
    operations = [_operation(one) for one in fields.objects("operations", minimum=1, maximum=MAX_OPERATIONS)]
    fields.close()
    action = compose_action(
        operations,
        name=name or written_name,
        target=target or written_target or DEFAULT_TARGET,
        expiry=expiry,
        description=description,
        threat=threat,
        now=now,
        randomness=randomness,
    )
    # Read back as every agent will: what would be refused there is refused here, before anybody signs it.
    return read_action(action.to_payload())


def _operation(fields: Members) -> Operation:
    module = fields.text("module", max_length=32)
    if fields.has("iscompressed") and fields.boolean("iscompressed"):
        fields.refuse("iscompressed", "compressed parameters are not supported")
    fields.boolean("iscompressed", default=False)
    parameters = fields.mapping("parameters")
    fields.boolean("wantcompressed", default=False)
    fields.close()
    return Operation(module, parameters)


def _text_of(fields: Members, key: str) -> str:
    """A text as it is; the original's object as ``key: value`` lines, empty values left out."""
    if not fields.has(key):
        return fields.text(key, max_length=0, default="")
    value: JSON = fields.take(key)
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        fields.refuse(key, f"must be a string or an object, got {kind_of(value)}")
    return "\n".join(f"{name}: {one}" for name, one in value.items() if one not in (None, "", 0, 0.0))
