"""The names a target may use: columns, their other spellings, functions; and "did you mean" for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.target.tree import Answer, Column, JsonText, Kind
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_core.domain.target.tree import Operand

COLUMNS: dict[str, Operand] = {
    "id": Column("id", Kind.TEXT),
    "name": Column("name", Kind.TEXT),
    "version": Column("version", Kind.TEXT),
    "mode": Column("mode", Kind.TEXT),
    "status": Column("status", Kind.TEXT),
    "relay": Column("relay", Kind.TEXT),
    "pid": Column("pid", Kind.INTEGER),
    "heartbeat_at": Column("heartbeat_at", Kind.TIME),
    "started_at": Column("started_at", Kind.TIME),
    "os": JsonText("environment", ("os",)),
    "arch": JsonText("environment", ("arch",)),
    "ident": JsonText("environment", ("ident",)),
}
"""What can stand left of an operator, by its name in lower case."""

ALIASES: dict[str, str] = {
    "agentid": "id",
    "agentname": "name",
    "heartbeattime": "heartbeat_at",
    "starttime": "started_at",
}
"""Spellings of the original program."""

DOCUMENTS = ("environment", "tags")
ADDRESS = ("address", "addresses")
FUNCTIONS: dict[str, Answer] = {str(answer): answer for answer in Answer}

GONE: dict[str, str] = {
    "queueloc": "agents are named by id or name: id = '...'",
    "destructiontime": "retired agents are never targeted",
    "refreshtime": "environment facts come with every heartbeat: use heartbeat_at",
    "loadername": "there is no loader",
}
"""Columns of the original program that have no counterpart -> what to do instead."""

KEYWORDS = frozenset(
    {"AND", "BETWEEN", "ILIKE", "IN", "INTERVAL", "IS", "LIKE", "NOT", "NOW", "NULL", "OR", "SELECT", "TRUE", "FALSE"}
)
"""Words that can be no name."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a text in the language speaks of: agents, in a target; alerts, in a sink's ``where``."""

    columns: Mapping[str, Operand]
    documents: tuple[str, ...]
    """JSON objects whose keys are compared."""
    of_agents: bool = False
    """Whether there are addresses, earlier answers, and words that stand for agents' names."""

    def operand(self, name: str) -> Operand | None:
        """The column or shorthand of this name, in any case and in the original's spelling too."""
        lower = name.lower()
        return self.columns.get(ALIASES.get(lower, lower) if self.of_agents else lower)

    def known(self) -> list[str]:
        """All that can stand left of an operator, for error texts."""
        return sorted(
            [*self.columns, *(["address"] if self.of_agents else []), *(f"{one}.KEY" for one in self.documents)]
        )


AGENTS = Vocabulary(COLUMNS, DOCUMENTS, of_agents=True)
ALERTS = Vocabulary({"module": Column("module", Kind.TEXT)}, ("event",))


def suggest(wrong: str, candidates: Iterable[str], otherwise: str) -> str:
    """Asks whether the nearest candidate was meant; ``otherwise`` when none is near."""
    from difflib import get_close_matches  # only for errors: it would cost every start of the agent 5 ms

    pool = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(wrong[:80].lower(), pool, n=1, cutoff=0.6)
    return f"did you mean {pool[near[0]]}?" if near else otherwise
