"""What has to be done with a file, worked out once for each set of slots that look at it.

Between ``evaluation``, which decides who looks at which file, and what then happens to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.finding.openfile import groups_of
from mig_endpoint.finding.slots import slots_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mig_endpoint.finding.openfile import Group
    from mig_endpoint.finding.search import Search
    from mig_endpoint.finding.slots import Slot

MAX_PLANS = 500
"""How many plans are kept."""


class SearchRun:
    """A search with its slots and how far it has come."""

    __slots__ = ("limit", "matches", "maxdepth", "search", "slots")

    def __init__(self, search: Search) -> None:
        """Compiles its filters."""
        self.search = search
        self.slots = slots_of(search)
        self.maxdepth = search.options.maxdepth or (1 << 62)
        self.limit = search.options.matchlimit or (1 << 62)
        self.matches = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many matches as it wants."""
        return self.matches >= self.limit


Pair = tuple[SearchRun, "Slot"]
Chosen = tuple[Pair, list[str]]
"""A slot, and the names that it wants."""
Choice = tuple[list[Pair], list[Chosen], list[Chosen]]
"""Slots that want all files of a batch, some of them, and entries that are no files."""


class Plan:
    """What has to be done with a file for a set of slots; most files of a run share one."""

    __slots__ = (
        "groups",
        "has_attributes",
        "has_metadata",
        "is_plain",
        "may_read_ahead",
        "opens",
        "pairs",
        "ready",
        "slots",
    )

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        """Works it out."""
        self.pairs = pairs
        self.slots = tuple(slot.number for _, slot in pairs)
        """Their numbers."""
        self.has_attributes = any(slot.attributes for _, slot in pairs)
        self.has_metadata = any(slot.has_metadata for _, slot in pairs)
        self.groups = groups_of(slot for _, slot in pairs if slot.reading)
        self.ready = tuple(pair for pair in pairs if not pair[1].reading)
        """Those that need not know the content to match."""
        self.is_plain = len(self.groups) == 1 and not self.groups[0].expand and not self.ready
        returns = any(slot.search.options.returnsha256 for _, slot in pairs)
        self.may_read_ahead = (
            self.is_plain and not self.has_metadata and (not returns or bool(self.groups[0].algorithms))
        )
        """Whether one plain read gives all there is to know, with nothing that might make it unnecessary."""
        self.opens = bool(self.groups) or any(slot.search.options.returnsha256 for _, slot in self.ready)


class Planned(dict[str, Plan]):
    """The plans of a batch by the file's name: ``other`` for names that are not in it."""

    def __init__(self, other: Plan) -> None:
        super().__init__()
        self.other = other

    def __missing__(self, name: str) -> Plan:
        return self.other

    @property
    def may_read_ahead(self) -> bool:
        """Whether all of its files may be read before anything else is known of them."""
        return all(plan.may_read_ahead or not plan.pairs for plan in {self.other, *self.values()})


class Plans:
    """All plans of a run."""

    def __init__(self, runs: Sequence[SearchRun]) -> None:
        """Numbers the slots."""
        self._pairs: list[Pair] = [(run, slot) for run in runs for slot in run.slots]
        for number, (_, slot) in enumerate(self._pairs):
            slot.number = number
        self._plans: dict[tuple[int, ...], Plan] = {}

    def of(self, pairs: Sequence[Pair]) -> Plan:
        """The plan for these pairs."""
        key = tuple([slot.number for _, slot in pairs])
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = Plan(tuple(pairs))
        return plan

    def group_of(self, numbers: Iterable[int]) -> Group:
        """What a plain plan for slots with these numbers reads."""
        return self.of([self._pairs[number] for number in numbers]).groups[0]

    def of_batch(self, everywhere: list[Pair], chosen: list[Chosen]) -> Planned:
        """A plan for each name: some slots want every file, some chose by name."""
        if len(chosen) == 1 and not everywhere:
            return Planned(self.of((chosen[0][0],)))
        planned = Planned(self.of(everywhere))
        wanted: dict[str, list[Pair]] = {}
        for pair, names in chosen:
            for name in names:
                wanted.setdefault(name, []).append(pair)
        planned.update({name: self.of((*everywhere, *pairs)) for name, pairs in wanted.items()})
        return planned
