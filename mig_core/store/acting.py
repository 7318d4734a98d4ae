"""Who acts: said once for all transactions of a request, written into the platform log by the database itself.

The log's triggers (``migrations/0007_platform_log.sql``) read two settings of the transaction. What is said here
reaches them through :class:`mig_core.store.database.Database`; no method of the store has to pass it on.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Acting:
    """On whose behalf a transaction runs."""

    address: str
    """Where the request came from."""
    who: str = ""
    """The investigator's fingerprint; empty: nobody who has logged in."""


_ACTING: ContextVar[Acting | None] = ContextVar("mig_acting", default=None)


@contextmanager
def acting_for(one: Acting) -> Iterator[None]:
    """Transactions inside are on behalf of ``one``."""
    token = _ACTING.set(one)
    try:
        yield
    finally:
        _ACTING.reset(token)


def who_acts() -> Acting | None:
    """On whose behalf transactions run here; None: the program's own."""
    return _ACTING.get()
