"""A :class:`Slot`: checks that an entry must pass together, and the entries that did.

With ``matchall`` a search has one slot with all its filters; without, one slot for each. ``evaluation`` runs entries
through slots; the hits a slot collects become rows.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from mig_core.records import dataclass, field
from mig_endpoint.files.globs import is_pattern
from mig_endpoint.finding import checks
from mig_endpoint.finding.checks import ContentCheck, HashCheck, KnownCheck, NameCheck
from mig_endpoint.finding.hits import Hits
from mig_endpoint.finding.metadata import AttributeCheck, ModeCheck, StatusCheck, TypeCheck
from mig_endpoint.finding.search import FILTERS, said

if TYPE_CHECKING:
    import os

    from mig_endpoint.finding.check import Check
    from mig_endpoint.finding.content import Question
    from mig_endpoint.finding.member_status import MemberStatus
    from mig_endpoint.finding.metadata import Attributes
    from mig_endpoint.finding.names import NameBatch
    from mig_endpoint.finding.reader import Reading
    from mig_endpoint.finding.search import Search

_OTHERS = frozenset({stat.S_IFDIR, stat.S_IFLNK, stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR})
"""Kinds of entries that are no regular files."""


@dataclass(slots=True, eq=False)
class Slot:
    """Checks that an entry must pass together, and the entries that did."""

    search: Search
    key: str = ""
    """The one filter's key, without ``matchall``."""
    value: str = ""
    names: list[NameCheck] = field(default_factory=list)
    status: list[StatusCheck] = field(default_factory=list)
    attributes: list[AttributeCheck] = field(default_factory=list)
    reading: list[ContentCheck | HashCheck | KnownCheck] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    algorithms: list[str] = field(default_factory=list)
    types: frozenset[int] | None = None
    """The kinds asked for; None if the search does not say."""
    hits: Hits = field(default_factory=Hits)
    seen: set[str] | None = None
    """Paths that are hits already, where the search's paths may overlap."""
    row_bytes: int = 0
    """About how much of the answer one of its rows takes; 0 while nobody has worked it out."""
    number: int = 0
    """Among all slots of the run."""
    files: bool = True
    """Whether it asks for regular files."""
    file_links: bool = True
    """Whether it asks for links to regular files, judged by what they lead to."""
    own_links: bool = False
    """Whether it asks for links to regular files, judged as links."""
    is_plain: bool = True
    """Whether it asks for regular files and links to them, and has checks: then names are all there is to choose by."""
    may_ask: bool = False
    """Whether it may ask for entries that are no regular files."""
    says: bool = False
    """Whether an entry that has the name, and is of a kind not asked for, has to be said."""
    is_exact: bool = False
    """Whether that would be a gap, because one name was asked for and the original's answers are kept."""
    _kinds: frozenset[int] = frozenset()
    _modes: tuple[ModeCheck, ...] = ()
    """Those that may name a kind."""

    def add(self, check: Check) -> None:
        """Takes a check in."""
        if isinstance(check, NameCheck):
            self.names.append(check)
        elif isinstance(check, TypeCheck):
            self.types = check.kinds if self.types is None else self.types & check.kinds
        elif isinstance(check, ContentCheck):
            self.reading.append(check)
            self.questions.append(check.question)
        elif isinstance(check, HashCheck):
            self.reading.append(check)
            self.algorithms.append(check.algorithm)
        elif isinstance(check, KnownCheck):
            self.reading.append(check)
            self.algorithms += check.known.algorithms
        elif isinstance(check, StatusCheck):
            self.status.append(check)
        elif isinstance(check, AttributeCheck):
            self.attributes.append(check)

    def settle(self) -> None:
        """Works out which kinds of entries it asks for; to be called when all checks are in."""
        exact = any(check.is_exact for check in self.names)
        if self.types is not None:
            self._kinds = self.types & _OTHERS
            self.files, self.file_links = stat.S_IFREG in self.types, False
            self.own_links = stat.S_IFLNK in self.types
        elif not self.reading:
            if exact:
                self._kinds = frozenset({stat.S_IFLNK}) if self.search.as_original else _OTHERS
            self._modes = tuple(one for one in self.status if isinstance(one, ModeCheck) and one.may_name_a_kind())
            self.own_links = any(one.named(stat.S_IFLNK) for one in self._modes)
            self.file_links = not self.own_links
            self.says = any(not check.passes_anything() for check in self.names)
            self.is_exact = exact and self.search.as_original
        self.may_ask = bool(self._kinds or self._modes)
        self.is_plain = self.files and self.file_links and not self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether it has no checks; then nothing passes."""
        return not (self.names or self.has_metadata or self.reading or self.types is not None)

    def asks(self, kind: int) -> bool:
        """Whether it may ask for entries of a kind that is not the regular file's."""
        return kind in self._kinds or any(one.named(kind) for one in self._modes)

    def asks_for(self, mode: int, *, named: bool) -> bool:
        """Whether it asks for an entry with this ``st_mode``. ``named``: a path of the question names it."""
        kind = stat.S_IFMT(mode)
        if kind in self._kinds or (named and kind not in (stat.S_IFDIR, stat.S_IFLNK)):
            return True
        return any(stat.S_IMODE(mode) in one.named(kind) for one in self._modes)

    def candidates(self, names: NameBatch) -> list[str]:
        """The names that pass the name checks, in their order."""
        candidates = names.names
        for check in self.names:
            matching = names.matching(check.pattern)
            if check.negated:
                candidates = [name for name in candidates if name not in matching]
            elif not matching:
                return []
            else:
                candidates = [name for name in candidates if name in matching]
        return candidates

    @property
    def has_metadata(self) -> bool:
        """Whether there is anything that :meth:`passes_metadata` would ask."""
        return bool(self.status or self.attributes)

    def passes_metadata(self, status: os.stat_result, entry: Attributes | None, now: int) -> bool:
        """Whether size, mode, ages, owners and attributes pass. ``entry`` may be None where no slot has ``attributes``.

        Raises:
            Unreadable: the endpoint does not know something that was asked.
            OSError: the entry went away, or may not be read.
        """
        if not all(check.passes(status, now) for check in self.status):
            return False
        return entry is None or all(check.passes(entry, now) for check in self.attributes)

    @property
    def may_ask_members(self) -> bool:
        """Whether it may ask for members of archives: an archive cannot answer everything."""
        return (
            self.search.options.archives
            and not (self.is_empty or self.reading or self.attributes)
            and all(check.is_for_members for check in self.status)
        )

    def passes_as_member(self, status: MemberStatus, now: int) -> bool:
        """Whether kind, size, mode and age of a member pass; its name was judged before."""
        if self.types is not None and stat.S_IFMT(status.st_mode) not in self.types:
            return False
        if self.types is None and not stat.S_ISREG(status.st_mode):
            exact = any(check.is_exact for check in self.names)
            named = any(stat.S_IMODE(status.st_mode) in one.named(stat.S_IFMT(status.st_mode)) for one in self._modes)
            if not (exact or named or stat.S_ISLNK(status.st_mode)):
                return False
        return all(check.passes(status, now) for check in self.status)

    def judge(self, reading: Reading) -> bool | None:
        """Whether the content passes all checks; None if that could not be found out."""
        verdict: bool | None = True
        for check in self.reading:
            passed = check.passes(reading)
            if passed is False:
                return False
            if passed is None:
                verdict = None
        return verdict


def slots_of(search: Search) -> list[Slot]:
    """The slots of a search, in the order of their rows."""
    if search.options.matchall or not search.has_filters:
        one = Slot(search)
        for check in checks.of_search(search):
            one.add(check)
        slots = [one]
    else:
        slots = []
        for key in FILTERS:
            for value in said(key, search.filters[key]):
                one = Slot(search, key, value)
                for check in checks.of_lists(search) if key == "hashes" else [checks.of_values(search, key, (value,))]:
                    one.add(check)
                slots.append(one)
    for one in slots:
        one.settle()
        if len(search.paths) > 1 or any(map(is_pattern, search.paths)):
            one.seen = set()
    return slots
