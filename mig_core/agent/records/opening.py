"""Opens journal, spool and ledger, in the order in which each can vouch for the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.agent.records.folding import Folding
from mig_core.agent.records.journal import Journal
from mig_core.agent.records.ledger import Ledger
from mig_core.agent.records.spool import Spool

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mig_core.identity import AgentKey

JOURNAL = "journal.jsonl"
LEDGER = "ledger.jsonl"
SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class Records:
    """Where things are noted down."""

    journal: Journal
    spool: Spool
    ledger: Ledger
    folding: Folding

    def problems(self) -> dict[str, str]:
        """What of it the owner and the platform should know of: name -> problem."""
        told = {"journal": self.journal.problem or self.journal.repaired, "ledger": self.ledger.problem}
        return {name: problem for name, problem in told.items() if problem}


def open_records(
    state: Path, key: AgentKey, *, now: datetime, young: bool, spool_bytes: int, ledger_bytes: int
) -> Records:
    """The records in an agent's state directory.

    Args:
        state: the directory.
        key: signs where a segment of the ledger ends.
        now: the time.
        young: whether this agent may never have been asked anything.
        spool_bytes: most of the answers that wait.
        ledger_bytes: most of the ledger.

    Raises:
        OSError: they cannot be read or written.
    """
    # The ledger first: it drops a line that a crash cut short, and no witness may stumble over that.
    ledger = Ledger(state / LEDGER, key=key, now=now, max_bytes=ledger_bytes)
    journal = Journal(state / JOURNAL, now=now, ledger=state / LEDGER, young=young)
    ledger.expect(journal.ledger_lines, now=now)
    if journal.repaired:
        ledger.add("mended", {"note": journal.repaired}, now=now)
    return Records(journal, Spool(state / SPOOL, max_bytes=spool_bytes), ledger, Folding(ledger))
