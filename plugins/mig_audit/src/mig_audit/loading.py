"""Our rules in the kernel: loaded, read back, kept true to the paths they name, removed.

A watch ends when the kernel removes it, because its directory was replaced or unmounted, and goes blind without a word
when a link or a directory on its way becomes another. Both are noticed here: the rule is loaded again as soon as its
path is there, and what was not watched meanwhile is told as a :class:`Gap`. A rule that another program removes stays
away: somebody wanted that; it is told, too.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mig_audit import places, rule
from mig_audit.kernel import KernelRefused
from mig_audit.rule import normal
from mig_audit.settings import TABLE
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mig_audit.kernel import Kernel
    from mig_audit.note import Note, Notebook
    from mig_audit.places import Form, Identity
    from mig_audit.rule import Rule

BY_KERNEL, BY_OTHERS, BY_CHANGE = "kernel", "another program", "change of the path"
PATIENCE = 2
"""Looks at which a rule is missing before somebody else is blamed: the kernel's record may still be on its way."""
MANY = 200
"""With more rules that name paths these are looked at only when the kernel's list is."""
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(slots=True)
class RuleCount:
    """What became of the rules of the settings."""

    wanted: int = 0
    loaded: int = 0
    """Ours, in the kernel now, with everything that their links stand for."""
    waiting: int = 0
    """Those whose path is not there."""
    foreign: int = 0
    """Rules in the kernel that are not ours."""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a rule was not in force, or not for what its path names."""

    rule: str
    by: str
    since: str
    """When it was last known to be in force, at the latest."""
    until: str | None
    """When it was loaded again; None: it is not yet, or will not be."""
    keys: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Held:
    """One rule of the settings."""

    rule: Rule
    forms: tuple[Form, ...] = ()
    loaded: set[bytes] = field(default_factory=set)
    """Those of its forms (normal) that are ours in the kernel."""
    refused: bool = False
    removed: bool = False
    """By another program: it stays so."""
    good: str = ""
    """When it was last seen in force."""
    gap: str = ""
    """Who ended it; empty while it is in force."""
    missed: int = 0
    excludes_agent: bool = False
    late: bool = False
    """Whether the kernel said that a path is not there which had just been seen: it was replaced that moment."""

    @property
    def waits(self) -> bool:
        there = all(one.possible for one in self.forms) and not self.late
        return not self.removed and not self.refused and not there


class Loading:
    """The rules of one registration. Used by one thread.

    Args:
        rules: of the settings, in their order.
        kernel: asked and told.
        notebook: where what is loaded is kept, before it is.
        log: for the agent's log.
        agent: the process whose exclusion by its program (``-a never,exit -F exe=``) is to outlive an upgrade of it.
    """

    def __init__(
        self, rules: Sequence[Rule], kernel: Kernel, notebook: Notebook, log: Callable[[int, str], None], agent: int
    ) -> None:
        self._held = [_Held(one) for one in rules]
        self._paths = sum(1 for one in rules if places.has_paths(one))
        self._kernel = kernel
        self._notebook = notebook
        self._log = log
        self._agent = agent
        self._agent_program: Identity = places.identity(f"/proc/{agent}/exe")
        self.note: Note | None = None
        """What is remembered across a sudden end; None while nothing is ours."""
        self.count = RuleCount(wanted=len(rules))
        self.excluded: frozenset[int] = frozenset()
        """Types of records that rules keep out."""

    def load(self, previous: Sequence[bytes], note: Note, now: str) -> None:
        """Loads all rules; takes over those of ``previous``, our killed predecessor's, that are still wanted.

        Raises:
            ConfigurationError: a rule insists on a path that is not there.
        """
        # 1. What is wanted, what is there.
        self.note = note
        present = {normal(one) for one in self._kernel.rules()}
        for held in self._held:
            _insist(held.rule)
            held.forms, held.good = self._forms(held, first=True), now
        wanted = {normal(form.packed): form.packed for held in self._held for form in held.forms}
        kept = {normal(one) for one in previous} & present
        # 2. What the predecessor had and nobody wants goes; the rest is written down before it is loaded.
        self.remove([one for one in previous if normal(one) in kept - wanted.keys()])
        note.rules = [one for one in previous if normal(one) in kept & wanted.keys()]
        fresh = [packed for key, packed in wanted.items() if key not in present]
        self._notebook.write(replace(note, rules=note.rules + fresh))
        # 3. Each rule, in its order.
        for held in self._held:
            self._add(held, kept & wanted.keys(), present)
        self._write_note()
        for held in self._held:
            if len(held.forms) == places.MAX_FORMS:
                self._log(logging.WARNING, f"rule {held.rule.text}: of its links only the first are watched")
            if held.waits:
                held.gap = BY_CHANGE
                self._log(logging.WARNING, f"rule {held.rule.text}: its path is not there; loaded as soon as it is")
        self.refresh()
        if self.count.loaded < sum(1 for held in self._held if held.loaded and not held.waits and not held.refused):
            self._log(logging.ERROR, "the kernel has rules of ours otherwise than they were sent")

    def refresh(self) -> set[bytes] | None:
        """Reads the rules back from the kernel, compares them bit by bit, and counts; None when it does not say."""
        try:
            listed = self._kernel.rules()
        except KernelRefused as error:
            self._log(logging.WARNING, str(error))
            return None
        present = Counter(normal(one) for one in listed)
        ours = set().union(*(held.loaded for held in self._held))
        self.excluded = rule.excluded_types(listed)
        self.count.loaded = sum(
            1 for held in self._held if held.loaded and not held.waits and held.loaded <= present.keys()
        )
        self.count.waiting = sum(1 for held in self._held if held.waits)
        self.count.foreign = present.total() - sum(1 for one in ours if one in present)
        return set(present)

    def look(self, now: str, removed: Collection[str], *, listing: bool) -> list[Gap]:
        """Sees whether every rule is still in force for what its paths name, and loads again what is not.

        Args:
            now: the time, for gaps.
            removed: paths of rules of which the kernel has said that it removed them, since the last look; an empty
                one for a rule that a program removed.
            listing: whether to ask the kernel for all of its rules.
        """
        if self.note is None:
            return []
        # 1. What each rule means now; ask the kernel for its rules where one may be missing.
        listing = listing or bool(removed) or any(held.missed for held in self._held)
        if not listing and self._paths > MANY:
            return []
        there = [held for held in self._held if not held.removed and not held.refused]
        fresh = [self._forms(held) if places.has_paths(held.rule) else held.forms for held in there]
        listing = listing or any(held.forms != one for held, one in zip(there, fresh, strict=True) if not held.gap)
        present = self.refresh() if listing else None
        looked = [self._look_at(held, one, now, removed, present) for held, one in zip(there, fresh, strict=True)]
        gaps = [gap for gap in looked if gap is not None]
        if gaps:
            self._write_note()
            self.refresh()
        return gaps

    def _look_at(
        self, held: _Held, fresh: tuple[Form, ...], now: str, removed: Collection[str], present: set[bytes] | None
    ) -> Gap | None:
        # 2. Whether the rule is in force for what it means now, and if not, who has ended it.
        lacking = present is not None and not held.loaded <= present
        begins = not held.gap
        if begins:
            held.gap = self._cause(held, fresh, removed, lacking=lacking)
        if not held.gap:
            held.good = held.good if held.missed else now
            return None
        if held.gap == BY_OTHERS:
            held.removed = True
            return _gap(held, None)
        # 3. Loaded again, as soon as its paths are there.
        if begins or fresh != held.forms or (held.late and present is not None):
            self._again(held, fresh)
        if held.waits:
            return _gap(held, None) if begins else None
        gap = _gap(held, now)
        held.gap, held.good = "", now
        return gap

    def remove(self, rules: Sequence[bytes]) -> None:
        """Takes rules out of the kernel."""
        for one in rules:
            try:
                self._kernel.delete(one, "remove rule")
            except KernelRefused as error:
                if error.number != errno.ENOENT:
                    self._log(logging.WARNING, str(error))

    def _cause(self, held: _Held, fresh: tuple[Form, ...], removed: Collection[str], *, lacking: bool) -> str:
        """Who ended a rule; empty while that is not known for sure."""
        ours = {path for form in held.forms for path in form.paths}
        if fresh != held.forms or (lacking and ours & set(removed)):
            held.missed = 0
            return BY_KERNEL if lacking else BY_CHANGE
        held.missed = held.missed + 1 if lacking else 0
        if held.missed < PATIENCE:
            return ""
        held.missed = 0
        return BY_OTHERS

    def _forms(self, held: _Held, *, first: bool = False) -> tuple[Form, ...]:
        """What a rule stands for; one that excludes the agent by a program it no longer runs excludes it by number."""
        forms = places.forms_of(held.rule)
        program = next((one for one in held.rule.fields if one.number == rule.EXE), None)
        if program is None or held.rule.action != rule.ACTIONS["never"] or program.operator != rule.EQUAL:
            return forms
        runs_it = places.identity(str(program.value)) == self._agent_program
        if first:
            held.excludes_agent = runs_it and self._agent_program is not None
        if not held.excludes_agent or runs_it:
            return forms
        place = held.rule.fields.index(program)
        for number in (rule.PID, rule.PPID):
            fields = list(held.rule.fields)
            fields[place] = rule.Field(number, rule.EQUAL, self._agent)
            forms += (places.Form(replace(held.rule, fields=tuple(fields)).pack()),)
        return forms

    def _again(self, held: _Held, fresh: tuple[Form, ...]) -> None:
        """Loads a rule anew, in a place where it comes before and after the same rules as before."""
        old, held.forms = held.forms, fresh
        # What it is tied to has changed, or it is not meant any more.
        stale = held.loaded & {normal(form.packed) for form in old if form not in fresh}
        others = set().union(*(one.loaded for one in self._held if one is not held))
        stale -= others - {normal(form.packed) for form in fresh}
        self.remove(sorted(stale))
        present = {normal(one) for one in self._kernel.rules()}
        held.loaded &= present
        first = self._add(held, held.loaded | (others & present), present, again=True)
        # The kernel takes the first rule that matches: those of ours behind it with the other verdict follow it again.
        if first:
            return
        for later in self._held[self._held.index(held) + 1 :]:
            if later.rule.filter == held.rule.filter and later.rule.action != held.rule.action and later.loaded:
                packed = [form.packed for form in later.forms if normal(form.packed) in later.loaded]
                self.remove(packed)
                self._add(later, set(), present - later.loaded)

    def _add(self, held: _Held, ours: Collection[bytes], present: Collection[bytes], *, again: bool = False) -> bool:
        """Loads those forms of a rule that are possible and not there; whether before all other rules."""
        never = rule.ACTIONS["never"]
        earlier = self._held[: self._held.index(held)]
        first = (
            again
            and held.rule.action == never
            and all(one.rule.action == never for one in earlier if one.rule.filter == held.rule.filter)
        )
        held.late = False
        for form in held.forms:
            key = normal(form.packed)
            if key in ours:
                held.loaded.add(key)
                continue
            if key in present:
                self._log(logging.INFO, f"rule was loaded by someone else already: {held.rule.text}")
                continue
            if not form.possible:
                continue
            try:
                self._kernel.add(rule.prepended(form.packed) if first else form.packed, f"rule {held.rule.text}")
            except KernelRefused as error:
                held.late = held.late or error.number in _NOT_THERE
                if error.number not in (errno.EEXIST, *_NOT_THERE):
                    held.refused = True
                    self.count.refused += 1
                    self._log(logging.ERROR, str(error))
                if error.number != errno.EEXIST:
                    continue
            held.loaded.add(key)
        return first

    def _write_note(self) -> None:
        if self.note is not None:
            self.note.rules = sorted(set().union(*(held.loaded for held in self._held)))
            self._notebook.write(self.note)


def _insist(written: Rule) -> None:
    if written.required and not os.path.lexists(written.watched):
        raise ConfigurationError("", f"{TABLE}.rules_file", f"rule {written.text}: {written.watched} is not there")


def _gap(held: _Held, until: str | None) -> Gap:
    keys = next((str(one.value).split(rule.KEY_SEPARATOR) for one in held.rule.fields if one.number == rule.KEY), [])
    return Gap(held.rule.text, held.gap, held.good, until, tuple(keys))
