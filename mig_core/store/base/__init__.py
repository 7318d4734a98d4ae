"""What API and scheduler need of the store, by noun. Everything is asyncio; every method is one transaction.

Lists come in pages: a method that takes ``cursor`` ("" for the first page) returns rows and the next cursor ("" after
the last page); a cursor that the list did not give out raises InvalidDocument. All methods may raise StoreUnavailable,
those that take a target TargetError when the database cannot evaluate it in time; what else they raise is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mig_core.store.base.actions import Actions
from mig_core.store.base.agents import Agents
from mig_core.store.base.announcements import Announcements
from mig_core.store.base.answer_rows import AnswerRows
from mig_core.store.base.commands import Commands
from mig_core.store.base.enrolment_secrets import EnrolmentSecrets
from mig_core.store.base.investigators import Investigators
from mig_core.store.base.numbers import Numbers
from mig_core.store.base.platform_log import PlatformLog
from mig_core.store.base.presence import Presence
from mig_core.store.base.proposals import Proposals
from mig_core.store.base.set_aside import SetAside
from mig_core.store.base.wakeups import Wakeups, Watch

if TYPE_CHECKING:
    from mig_core.relay.base import RelayQueue

__all__ = [
    "Actions",
    "Agents",
    "Announcements",
    "AnswerRows",
    "Commands",
    "EnrolmentSecrets",
    "Investigators",
    "Numbers",
    "PlatformLog",
    "Presence",
    "Proposals",
    "SetAside",
    "Store",
    "Wakeups",
    "Watch",
]


class Store(Protocol):
    """All of it."""

    investigators: Investigators
    agents: Agents
    actions: Actions
    commands: Commands
    answer_rows: AnswerRows
    enrolment_secrets: EnrolmentSecrets
    numbers: Numbers
    platform_log: PlatformLog
    announcements: Announcements
    proposals: Proposals
    set_aside: SetAside
    relay_queue: RelayQueue
    presence: Presence
    wakeups: Wakeups

    async def open(self) -> None:
        """Connects; waits for the database up to 30 s.

        Raises:
            StoreUnavailable
            ConfigurationError: the schema's version is not the one this program needs, or there is a pooler in between
                that gives each transaction another session.
        """
        ...

    async def ready(self) -> bool:
        """Whether the database answers and writes now."""
        ...

    async def trouble(self) -> str:
        """Why it does not, in words for an operator (for /healthz); empty: it does."""
        ...

    async def close(self) -> None:
        """Gives everything back."""
        ...
