"""Answers to commands that were never begun, folded: the first few in full, of the others a line with their number.

Refusing costs nothing to whoever sends the commands, so it may cost the endpoint no disk: a stolen server could have
written gigabytes a day with actions that no investigator signed. What *was* begun carries an investigator's signature
and is never folded.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.agent.records.ledger import Ledger
    from mig_core.domain.document import JSON

IN_FULL = 5
"""Lines of one kind that are written as they are, each day."""
PERIOD = timedelta(days=1)
_MAX_REASON = 500
REPEATED = "repeated"


@dataclass(slots=True)
class _Fold:
    began: datetime
    written: int = 0
    """Lines in full."""
    counted: int = 0
    """Answers of the period that have no line of their own."""
    told: int = 0
    """How many of those a line has told of."""
    last: datetime | None = None


class Folding:
    """Keeps what is folded. Thread-safe.

    The number is written when it has doubled, when the day is over, and at the end; a crash loses less than half.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._folds: dict[str, _Fold] = {}

    def add(self, kind: str, event: str, fields: dict[str, JSON], *, now: datetime) -> None:
        """A line, or one more in a number.

        Args:
            kind: what is folded together: one of few words.
            event: of the line in full.
            fields: of the line in full.
            now: the time.

        Raises:
            OSError: it was not noted.
        """
        with self._lock:
            fold = self._folds.get(kind)
            if fold is None or not timedelta(0) <= now - fold.began < PERIOD:
                if fold is not None:
                    self._tell(kind, fold, now)
                fold = self._folds[kind] = _Fold(now)
            if fold.written < IN_FULL:
                reason = fields.get("reason")
                short: dict[str, JSON] = {"reason": reason[:_MAX_REASON]} if isinstance(reason, str) else {}
                self._ledger.add(event, {**fields, **short}, now=now)
                fold.written += 1
                return
            fold.counted, fold.last = fold.counted + 1, now
            if fold.counted >= 2 * fold.told:
                self._tell(kind, fold, now)

    def flush(self, now: datetime, *, everything: bool = False) -> None:
        """Writes the numbers of days that are over, or all of them.

        Raises:
            OSError: they were not written; call again.
        """
        with self._lock:
            for kind, fold in tuple(self._folds.items()):
                if everything or not timedelta(0) <= now - fold.began < PERIOD:
                    self._tell(kind, fold, now)
                    del self._folds[kind]

    def _tell(self, kind: str, fold: _Fold, now: datetime) -> None:
        if fold.counted > fold.told and fold.last is not None:
            # Numbers of one kind and day replace one another: the last one counts.
            note: dict[str, JSON] = {
                "kind": kind,
                "count": fold.counted,
                "since": format_time(fold.began),
                "last": format_time(fold.last),
            }
            self._ledger.add(REPEATED, note, now=now)
            fold.told = fold.counted
