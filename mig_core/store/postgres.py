"""The store on PostgreSQL: composes the files beside it, and opens and closes them together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.errors import StoreError
from mig_core.store.actions import PostgresActions
from mig_core.store.agents import PostgresAgents
from mig_core.store.announcements import PostgresAnnouncements
from mig_core.store.answer_rows import PostgresAnswerRows
from mig_core.store.commands import PostgresCommands
from mig_core.store.database import Database, StoreLimits
from mig_core.store.enrolment_secrets import PostgresEnrolmentSecrets
from mig_core.store.investigators import PostgresInvestigators
from mig_core.store.migrate import check_version
from mig_core.store.numbers import PostgresNumbers
from mig_core.store.platform_log import PostgresPlatformLog
from mig_core.store.presence import PostgresPresence, new_number
from mig_core.store.proposals import PostgresProposals
from mig_core.store.relay_queue import PostgresRelayQueue
from mig_core.store.session_check import READ_ONLY, check_writes
from mig_core.store.set_aside import PostgresSetAside
from mig_core.store.wakeups import PostgresWakeups

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from mig_core.relay.base import RelayQueue
    from mig_core.store import base


READY_WAIT = 3.0
"""Seconds after which a database that says nothing is not ready."""


class PostgresStore:
    """:class:`mig_core.store.base.Store`. Make it and use it within one running event loop.

    Args:
        url: libpq URL of the role this program has (a member of ``mig_api`` or ``mig_scheduler``).
        pool_size: most connections at once; one more listens for wakeups, another one is a
            scheduler's presence.
        limits: how long things may take.
    """

    investigators: base.Investigators
    agents: base.Agents
    actions: base.Actions
    commands: base.Commands
    answer_rows: base.AnswerRows
    enrolment_secrets: base.EnrolmentSecrets
    numbers: base.Numbers
    platform_log: base.PlatformLog
    announcements: base.Announcements
    proposals: base.Proposals
    set_aside: base.SetAside
    relay_queue: RelayQueue
    presence: base.Presence
    wakeups: base.Wakeups

    def __init__(self, url: str, *, pool_size: int = 10, limits: StoreLimits | None = None) -> None:
        chosen = limits or StoreLimits()
        number = new_number()
        self._database = Database(url, pool_size=pool_size, limits=chosen)
        self._wakeups = PostgresWakeups(url, limits=chosen)
        self.investigators = PostgresInvestigators(self._database)
        self.agents = PostgresAgents(self._database)
        self.actions = PostgresActions(self._database, number)
        self.commands = PostgresCommands(self._database, number)
        self.answer_rows = PostgresAnswerRows(self._database)
        self.enrolment_secrets = PostgresEnrolmentSecrets(self._database)
        self.numbers = PostgresNumbers(self._database)
        self.announcements = PostgresAnnouncements(self._database)
        self.platform_log = PostgresPlatformLog(self._database)
        self.proposals = PostgresProposals(self._database)
        self.set_aside = PostgresSetAside(self._database)
        self.relay_queue = PostgresRelayQueue(self._database, number)
        self.presence = PostgresPresence(url, number)
        self.wakeups = self._wakeups

    async def open(self) -> None:
        """See the protocol."""
        await self._database.open()
        try:
            await self._database.transaction(check_version)
            await self._wakeups.open()
        except BaseException:
            await self._database.close()
            raise

    async def ready(self) -> bool:
        """See the protocol."""
        return not await self.trouble()

    async def trouble(self) -> str:
        """See the protocol."""
        try:
            async with asyncio.timeout(READY_WAIT):
                await self._database.transaction(check_writes)
        except (StoreError, TimeoutError) as error:
            return READ_ONLY if READ_ONLY in str(error) else "the database does not answer"
        return ""

    async def close(self) -> None:
        """See the protocol."""
        await self._wakeups.close()
        await self._database.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
