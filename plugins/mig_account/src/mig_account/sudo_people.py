"""Whom the lists of sudoers mean: accounts, hosts and those that commands are run as, aliases resolved.

Within a list the last entry that fits decides. Netgroups and groups of plugins are asked of nobody: what they mean is
not known, and is booked.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_account.sudoers import is_alias_name
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.sudoers import Item, Policy

NOT_KNOWN = Reason("netgroup or other group of a rule that is not asked for")
MAX_NESTING = 32
MAX_NAMES = 1000
"""Names of accounts that a row lists."""
_OWN = 5000
"""Items of a list that are gone over, aliases of aliases included."""


@dataclass(slots=True)
class People:
    """Some accounts: those named, or all but those."""

    everybody: bool = False
    names: set[str] = field(default_factory=set)

    def include(self, others: Iterable[str], *, negated: bool) -> None:
        """Adds or takes away."""
        if negated == self.everybody:
            self.names.update(others)
        else:
            self.names.difference_update(others)

    def parted(self, others: People) -> tuple[People, People]:
        """Those who are among others too, and those who are not."""
        if not self.everybody:
            among = {name for name in self.names if name in others}
            return People(names=among), People(names=self.names - among)
        named = {name for name in others.names if name in self}
        those, rest = People(names=named), People(True, self.names | others.names)
        return (rest, those) if others.everybody else (those, rest)

    def __contains__(self, name: object) -> bool:
        return (name in self.names) != self.everybody

    def __bool__(self) -> bool:
        return self.everybody or bool(self.names)


class Resolver:
    """Says whom lists mean, by one policy and the accounts of its system."""

    def __init__(self, ground: Ground, directory: Directory, policy: Policy, hostname: str) -> None:
        self._ground = ground
        self._directory = directory
        self._policy = policy
        self._hostname = hostname
        self._members: dict[str, set[str]] = {}

    def flat(
        self, kind: str, items: Iterable[Item], depth: int = 0, *, negated: bool = False
    ) -> list[tuple[str, bool]]:
        """The entries of a list with aliases in place of their names; whether each is negated."""
        found: list[tuple[str, bool]] = []
        for item in items:
            alias = self._policy.aliases.get((kind, item.text)) if is_alias_name(item.text) else None
            sign = item.negated != negated
            if alias is None:
                found.append((item.text, sign))
            elif depth < MAX_NESTING and len(found) < _OWN:
                found += self.flat(kind, alias.items, depth + 1, negated=sign)
        return found[:_OWN]

    def people(self, items: Iterable[Item], kind: str = "User") -> People:
        """The accounts that a list means."""
        people = People()
        for text, negated in self.flat(kind, items):
            if text == "ALL":
                people = People(everybody=not negated)
            else:
                people.include(self._named(text), negated=negated)
        return people

    def names(self, people: People) -> list[str]:
        """The names of accounts for a row, ``ALL`` first where all are meant."""
        if not people.everybody:
            return sorted(people.names)[:MAX_NAMES]
        return ["ALL", *sorted(one for one in self._directory.by_name if one in people)[:MAX_NAMES]]

    def is_here(self, items: Iterable[Item]) -> bool | None:
        """Whether a list of hosts means this one; None when that is not known."""
        here: bool | None = False
        for text, negated in self.flat("Host", items):
            fits = self._is_this_host(text)
            if fits is None:
                here = None
            elif fits:
                here = not negated
        return here

    def _is_this_host(self, text: str) -> bool | None:
        if text == "ALL":
            return True
        if text.startswith("+"):
            self._ground.tally.skip(NOT_KNOWN, text)
            return None
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            short = self._hostname.partition(".")[0]
            pattern = text.lower()
            return any(fnmatch.fnmatchcase(one.lower(), pattern) for one in (self._hostname, short))
        return None

    def _named(self, text: str) -> set[str]:
        if text.startswith(("+", "%:")):
            self._ground.tally.skip(NOT_KNOWN, text)
            return set()
        if text.startswith("%"):
            return self._in_group(text[1:])
        if text.startswith("#") and text[1:].isdigit():
            name = self._directory.account_name(int(text[1:11]))
            return {text if name.isdigit() else name}
        return {text}

    def _in_group(self, text: str) -> set[str]:
        if text not in self._members:
            name = text
            if text.startswith("#") and text[1:].isdigit():
                name = self._directory.group_name(int(text[1:11]))
            self._members[text] = {
                one.name for one in self._directory.by_name.values() if name in self._directory.groups_of(one)
            }
        return self._members[text]
