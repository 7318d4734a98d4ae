"""What a rule's paths are just now: the rules that the kernel must be given so that it sees what was meant.

The kernel ties a rule to what its path names at that moment. A watch (``path=``) and a program (``exe=``) hang on the
directory that holds the last part, a tree (``dir=``) on the directory itself, and where the last part is a symbolic
link, on the link and never on its target. So a link becomes several rules: one for each link on the way, that tells
when it is replaced, and one for what is behind. When any of it is another than before, the rule must be loaded anew.

Sources: kernel/audit_watch.c (audit_get_nd), audit_tree.c (audit_add_tree_rule), audit_fsnotify.c (audit_alloc_mark).
"""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_audit import rule

if TYPE_CHECKING:
    from mig_audit.rule import Rule

    Identity = tuple[int, int] | None

MAX_LINKS = 40
"""As the kernel follows (MAXSYMLINKS)."""
MAX_FORMS = 64
_PATHS = (rule.WATCH, rule.DIRECTORY, rule.EXE)


@dataclass(frozen=True, slots=True)
class Form:
    """One rule for the kernel."""

    packed: bytes
    """The struct audit_rule_data."""
    paths: tuple[str, ...] = ()
    """What it is tied to."""
    identities: tuple[Identity, ...] = ()
    """Device and inode of what the kernel ties each of them to; None where there is nothing."""

    @property
    def possible(self) -> bool:
        """Whether there is what it is to be tied to: else the kernel would refuse it."""
        return None not in self.identities


def has_paths(written: Rule) -> bool:
    """Whether a rule may mean another thing when files are replaced."""
    return any(one.number in _PATHS for one in written.fields)


def forms_of(written: Rule) -> tuple[Form, ...]:
    """The rules to be loaded for a rule as it was written; at least one."""
    places = [place for place, one in enumerate(written.fields) if one.number in _PATHS]
    if not places:
        return (Form(written.pack()),)
    made = []
    ways = [_ways(written, written.fields[place]) for place in places]
    for chosen in itertools.islice(itertools.product(*ways), MAX_FORMS):
        fields = list(written.fields)
        for place, (number, path) in zip(places, chosen, strict=True):
            fields[place] = replace(fields[place], number=number, value=path)
        packed = replace(written, fields=tuple(fields), watched="").pack()
        made.append(Form(packed, tuple(path for _number, path in chosen), tuple(_tied_to(*one) for one in chosen)))
    return tuple(made)


def target_of(path: str) -> str:
    """What is behind a path whose last part may be a link."""
    return _chain(path)[1]


def identity(path: str) -> Identity:
    """Device and inode of what a path leads to; None when there is nothing."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _ways(written: Rule, field: rule.Field) -> list[tuple[int, str]]:
    """Kind and path of everything that a field stands for."""
    path = str(field.value)
    links, target = _chain(path)
    number = field.number
    if number == rule.WATCH and written.watched and os.path.isdir(target):
        number = rule.DIRECTORY
    if field.operator != rule.EQUAL:  # several of these would contradict one another
        return [(number, target)]
    if number == rule.EXE:  # a link that is replaced by the program itself matches at once
        return [*((number, link) for link in links), (number, target)]
    told = links if written.action == rule.ACTIONS["always"] else []
    return [*((rule.WATCH, link) for link in told), (number, target)]


def _chain(path: str) -> tuple[list[str], str]:
    """The links that a path leads over by its last part, and what is behind the last of them."""
    links: list[str] = []
    while len(links) < MAX_LINKS:
        try:
            following = os.readlink(path)
        except (OSError, ValueError):
            break
        links.append(path)
        following = os.path.join(os.path.dirname(path), following).rstrip("/") or "/"
        folder, name = os.path.split(following)
        path = os.path.realpath(following) if name in ("", ".", "..") else os.path.join(os.path.realpath(folder), name)
    return links, path


def _tied_to(number: int, path: str) -> Identity:
    if number != rule.DIRECTORY:
        return identity(os.path.dirname(path) or "/")
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
