"""What a run has found so far, and whether there is room for more.

``inspection`` and ``entries`` record here; ``evaluation`` asks how deep somebody still wants to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.naming import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Batch
    from mig_file.hits import AnyStatus
    from mig_file.plans import Pair, SearchRun

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""


class Answer:
    """The hits of a run."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._active: list[SearchRun] = []
        self._room = MAX_ANSWER_BYTES
        self.open_to = 0
        """How deep a search that wants more goes."""
        self.is_full = False
        """Whether the platform would take no more."""
        self.any_full = False
        """Whether some search has as many matches as it wants."""

    def focus(self, active: Iterable[SearchRun]) -> None:
        """Says which searches the next walk is for."""
        self._active = list(active)
        self._note_depth()

    def record(
        self, pair: Pair, batch: Batch, name: str, status: AnyStatus, sha256: str = "", *, member: str = ""
    ) -> None:
        """Takes in an entry that passed, unless it is there already or the search has enough.

        ``member``: of the archive that the entry is, in its stead.
        """
        run, slot = pair
        native = join(batch.path, name)
        if slot.seen is not None:
            key = f"{native}\0{member}" if member else native
            if key in slot.seen:
                return
            slot.seen.add(key)
        if run.is_full:
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
            return
        run.matches += 1
        if run.matches >= run.limit:
            self.any_full = True
            self._note_depth()
        target = self._target(batch, name) if (batch.links or batch.others) and not member else ""
        slot.hits.add(native, status, sha256, target, member)
        self._room -= slot.row_bytes + len(native) + len(member)
        self.is_full = self._room <= 0

    def _note_depth(self) -> None:
        self.open_to = max((run.maxdepth for run in self._active if not run.is_full), default=0)

    @staticmethod
    def _target(batch: Batch, name: str) -> str:
        """What a link says; empty for everything else."""
        if not batch.is_link(name):
            return ""
        try:
            return batch.target(name)
        except OSError:
            return ""  # it went away; its row says what was seen
