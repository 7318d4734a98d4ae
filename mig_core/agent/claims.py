"""What an unverified action claims of itself: for the words of a refusal and how long to send it, for no decision."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.action import MAX_WINDOW
from mig_core.domain.document import load
from mig_core.domain.ids import ActionId, check_uuid
from mig_core.domain.times import parse_time
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.document import JSON

NO_ACTION = ActionId("00000000-0000-0000-0000-000000000000")
"""Stands for the action's id in an answer about something that does not even say which action it is."""
_AT_LEAST = timedelta(hours=1)


def claimed_action(payload: bytes) -> ActionId:
    """The id it claims: an echo that tells the reader which refusal this is."""
    try:
        return ActionId(check_uuid(_member(payload, "id"), subject="action", path="id"))
    except InvalidDocument:
        return NO_ACTION


def claimed_end(payload: bytes, now: datetime) -> int:
    """The end of the window it claims, in seconds since 1970, within reason."""
    try:
        end = parse_time(_member(payload, "expireafter"))
    except ValueError:
        end = now
    return seconds(min(max(end, now + _AT_LEAST), now + MAX_WINDOW))


def seconds(moment: datetime) -> int:
    """Since 1970, whole."""
    return int(moment.timestamp())


def _member(payload: bytes, key: str) -> JSON:
    try:
        document = load(payload, subject="action", max_bytes=envelopes.MAX_ACTION_BYTES)
    except InvalidDocument:
        return None
    return document.get(key) if isinstance(document, dict) else None
