"""The platform log: read by whoever has the permission, and failures written into it, bounded."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mig_core.api.documents import page
from mig_core.api.exchange import CURSOR, LIMIT, Bound, Call, Parameter, Reply, Route
from mig_core.api.limiter import Limiter
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import ApiError, InvalidDocument, StoreError
from mig_core.store.rows import LogWish, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import PlatformLog
    from mig_core.store.rows import LogRow

log = logging.getLogger(__name__)

MOST_AT_ONCE = 500
MOST_PER_SECOND = 1.0
"""Entries about failures that one mig-api adds: anybody can fail to log in, and the log lies on a disk."""
MAX_WORDS = 50


class FailureNotes:
    """Writes what did not work into the log. What is too much is counted, and the next entry says how many.

    Args:
        shared_by: Processes that each have a part of what is not too much.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self, entries: PlatformLog, *, shared_by: int = 1, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = entries
        self._limiter = Limiter(
            burst=MOST_AT_ONCE, per_second=MOST_PER_SECOND, shared_by=shared_by, monotonic=monotonic
        )
        self._left_out = 0

    async def failed(self, what: str, subject: str, reason: str) -> None:
        """Adds an entry. Never raises: the caller has a refusal to give.

        Args:
            what: like ``login.failed``.
            subject: who it claimed to be; not proven.
            reason: why it failed.
        """
        try:
            self._limiter.check(what)
        except ApiError:
            self._left_out += 1
            return
        self._limiter.spend(what)
        left_out, self._left_out = self._left_out, 0
        detail: dict[str, JSON] = {"reason": reason[:500], **({"notwritten": left_out} if left_out else {})}
        try:
            await self._log.note(what, subject=subject[:100], detail=detail)
        except StoreError as error:
            self._left_out += left_out + 1
            log.error("%s of %s cannot be written into the platform log: %s", what, subject[:100], error)


class PlatformLogResources:
    """GET /log."""

    def __init__(self, entries: PlatformLog) -> None:
        self._log = entries

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/log",
                "What the platform was made to do, by whom and from where, latest first",
                Permission.LOG,
                response="LogEntryList",
                query=(
                    Parameter("since", "not before this time"),
                    Parameter("until", "before this time"),
                    Parameter("who", "an investigator's fingerprint or name"),
                    Parameter("what", "words of entries, separated by commas; agent means all that begin with agent."),
                    Parameter("subject", "id, fingerprint or name of what was done something to"),
                    Parameter("address", "where the request came from"),
                    CURSOR,
                    LIMIT,
                ),
            ),
            self.list,
        )

    async def list(self, call: Call) -> Reply:
        """GET /log"""
        words = tuple(word for word in call.query.get("what", "").split(",") if word)
        if len(words) > MAX_WORDS:
            raise InvalidDocument("request", f"must be at most {MAX_WORDS} words", path="what")
        wish = LogWish(
            since=_time(call, "since"),
            until=_time(call, "until"),
            who=call.query.get("who", ""),
            what=words,
            subject=call.query.get("subject", ""),
            address=call.query.get("address", ""),
        )
        rows, cursor = await self._log.list(
            wish,
            cursor=call.query.get("cursor", ""),
            limit=call.whole_number("limit", default=100, minimum=1, maximum=1000),
        )
        return Reply(page([entry_document(row) for row in rows], cursor))


def entry_document(row: LogRow) -> dict[str, JSON]:
    """One entry."""
    return {
        "time": format_time(row.at),
        "id": row.id,
        "what": row.what,
        "who": row.who,
        "whoname": row.who_name,
        "address": row.address,
        "login": row.login,
        "subject": row.subject,
        "subjectname": row.subject_name,
        "detail": dict(row.detail),
    }


def _time(call: Call, name: str) -> datetime | None:
    text = call.query.get(name, "")
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidDocument("request", str(error), path=name) from error
