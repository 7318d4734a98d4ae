"""Entries that are no regular files: directories, links of any kind, sockets, FIFOs and devices, judged as they are.

A slot asks for a kind by ``type``, by an expression for one whole name, or by a mode that names the kind (``^d``). An
entry that has the name asked for and is of another kind is no answer, but it is said. Used by ``evaluation``.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import Unreadable
from mig_endpoint.finding import reasons
from mig_endpoint.finding.metadata import Attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.finding.answer import Answer
    from mig_endpoint.finding.plans import Chosen, SearchRun
    from mig_endpoint.finding.slots import Slot


class Entries:
    """Looks at them."""

    def __init__(self, answer: Answer, tally: Tally, now: int, before_hit: Callable[[], None]) -> None:
        """``before_hit`` is called before something is recorded, so that files seen earlier come first."""
        self._answer = answer
        self._tally = tally
        self._now = now
        self._before_hit = before_hit

    def look_at(self, batch: Batch, chosen: Iterable[Chosen]) -> None:
        """Looks at the entries of a batch that slots chose by name."""
        asked: set[str] = set()
        for (run, slot), names in chosen:
            for name in names:
                if not self._is_asked(batch, slot, name):
                    if slot.says and not batch.named:
                        reason = reasons.OTHER_KIND_EXACT if slot.is_exact else reasons.OTHER_KIND
                        self._tally.skip(reason, batch.path_of(name))
                    continue
                asked.add(name)
                if run.is_full:
                    self._tally.skip(coverage.LIMIT, batch.path_of(name))
                else:
                    self._judge(batch, run, slot, name)
        for name in batch.specials:
            if name not in asked:
                self._tally.skip(coverage.SPECIAL, batch.path_of(name))

    @staticmethod
    def _is_asked(batch: Batch, slot: Slot, name: str) -> bool:
        """Whether the slot asks for an entry of this kind."""
        kind = batch.others.get(name, stat.S_IFLNK)
        return slot.asks(kind) or (batch.named and slot.types is None and name in batch.specials)

    def _judge(self, batch: Batch, run: SearchRun, slot: Slot, name: str) -> None:
        """Records the entry if it passes."""
        if slot.reading:
            self._tally.skip(reasons.NOT_READ, batch.path_of(name))
            return
        try:
            status = batch.own_status(name)
            entry = Attributes(batch, name, follow=False)
            passes = slot.asks_for(status.st_mode, named=batch.named) and slot.passes_metadata(status, entry, self._now)
        except Unreadable as unknown:
            self._tally.skip(unknown.reason, batch.path_of(name))
            return
        except OSError as failure:
            coverage.failed(self._tally, batch.path_of(name), failure)
            return
        if passes:
            self._before_hit()
            if slot.search.options.returnsha256 and name in batch.specials:
                self._tally.skip(reasons.NOT_READ, batch.path_of(name))
            self._answer.record((run, slot), batch, name, status)
