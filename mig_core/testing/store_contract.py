"""What every store does, as tests. A driver's test file subclasses :class:`StoreContract` and gives the fixtures.

``store`` is an open, empty store and ``store_runner`` the :class:`asyncio.Runner` it was opened in;
:mod:`mig_core.testing.store_fixture` has both for PostgreSQL::

    class TestPostgresStore(StoreContract): ...
"""

from __future__ import annotations

from mig_core.testing.store_contracts.actions import ActionsContract
from mig_core.testing.store_contracts.agents import AgentsContract
from mig_core.testing.store_contracts.answer_diffs import AnswerDiffsContract
from mig_core.testing.store_contracts.answer_rows import AnswerRowsContract
from mig_core.testing.store_contracts.cancels import CancelsContract
from mig_core.testing.store_contracts.commands import CommandsContract
from mig_core.testing.store_contracts.enrolling import EnrollingContract
from mig_core.testing.store_contracts.identities import IdentitiesContract
from mig_core.testing.store_contracts.investigators import InvestigatorsContract
from mig_core.testing.store_contracts.numbers import NumbersContract
from mig_core.testing.store_contracts.outbox import OutboxContract
from mig_core.testing.store_contracts.platform_log import PlatformLogContract
from mig_core.testing.store_contracts.proposals import ProposalsContract
from mig_core.testing.store_contracts.relay_queue import RelayQueueContract
from mig_core.testing.store_contracts.set_aside import SetAsideContract
from mig_core.testing.store_contracts.wakeups import WakeupsContract


class StoreContract(
    InvestigatorsContract,
    AgentsContract,
    EnrollingContract,
    IdentitiesContract,
    ActionsContract,
    OutboxContract,
    CancelsContract,
    CommandsContract,
    ProposalsContract,
    PlatformLogContract,
    AnswerDiffsContract,
    AnswerRowsContract,
    RelayQueueContract,
    SetAsideContract,
    WakeupsContract,
    NumbersContract,
):
    """All parts of the contract."""
