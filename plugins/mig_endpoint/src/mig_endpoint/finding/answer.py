"""What a run has found so far, and whether there is room for more.

``inspection`` and ``entries`` record here; ``evaluation`` asks how deep somebody still wants to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mig_endpoint import coverage
from mig_endpoint.files.naming import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.archives.member import Member
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.finding.hits import AnyStatus
    from mig_endpoint.finding.plans import Pair, SearchRun
    from mig_endpoint.finding.slots import Slot

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""


class Keep(Protocol):
    """What a module does with an entry that passed all that was asked of it here."""

    def __call__(
        self,
        slot: Slot,
        path: str,
        batch: Batch,
        name: str,
        status: AnyStatus,
        sha256: str,
        member: Member | None,
        known: str = "",
    ) -> int | None:
        """Keeps it: about how many bytes of the answer that takes; None when it is none of the answer after all.

        Args:
            slot: the one that it passed.
            path: of the entry, as :func:`os.fsdecode` gives it.
            batch: where it lies.
            name: of the entry there.
            status: its own, or the member's.
            sha256: in upper case; empty if it was not asked for or could not be had.
            member: of the archive that the entry is, in its stead.
            known: the hash that is in the slot's lists, in upper case; empty if it has none.

        Raises:
            DeadlinePassed: time ran out.
            OSError: it went away, or may not be read.
        """


class Answer:
    """The hits of a run."""

    def __init__(self, tally: Tally, keep: Keep) -> None:
        self._tally = tally
        self._keep = keep
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
        self,
        pair: Pair,
        batch: Batch,
        name: str,
        status: AnyStatus,
        sha256: str = "",
        *,
        member: Member | None = None,
        known: str = "",
    ) -> None:
        """Takes in an entry that passed, unless it is there already or the search has enough.

        ``member``: of the archive that the entry is, in its stead. ``known``: the hash that is in the slot's lists.

        Raises:
            DeadlinePassed, OSError: what keeping it raises.
        """
        run, slot = pair
        path = join(batch.path, name)
        if slot.seen is not None:
            key = f"{path}\0{member.name}" if member else path
            if key in slot.seen:
                return
            slot.seen.add(key)
        if run.is_full:
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
            return
        size = self._keep(slot, path, batch, name, status, sha256, member, known)
        if size is None:
            return
        run.matches += 1
        if run.matches >= run.limit:
            self.any_full = True
            self._note_depth()
        self._room -= size
        self.is_full = self._room <= 0

    def _note_depth(self) -> None:
        self.open_to = max((run.maxdepth for run in self._active if not run.is_full), default=0)
