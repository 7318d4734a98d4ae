"""Whom the lists of sudoers mean: accounts, hosts and those that commands are run as, aliases resolved.

Within a list the last entry that fits decides. Netgroups and groups of plugins are asked of nobody: what they mean is
not known, and is booked.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import itertools
from typing import TYPE_CHECKING

from mig_account.ground import TOO_MANY
from mig_account.sudoers import is_alias_name
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.sudoers import Item, Policy

NOT_KNOWN = Reason("netgroup or other group of a rule that is not asked for")
MAX_NESTING = 100
MAX_NAMES = 1000
"""Names of accounts that a row lists."""
MAX_ITEMS = 5000
"""Items of a list that are gone over, those of aliases included."""


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
        self._aliases: dict[tuple[str, str], list[tuple[str, bool]]] = {}
        self._depth = 0
        self._everybody: list[str] = []

    def flat(self, kind: str, items: Iterable[Item]) -> list[tuple[str, bool]]:
        """The entries of a list with aliases in place of their names; whether each is negated. At most MAX_ITEMS."""
        found: list[tuple[str, bool]] = []
        for item in items:
            if len(found) >= MAX_ITEMS:
                self._ground.tally.skip(TOO_MANY, item.text)
                break
            if is_alias_name(item.text) and (kind, item.text) in self._policy.aliases:
                inner = self._of_alias(kind, item.text)
                found += [(text, negated != item.negated) for text, negated in inner]
            else:
                found.append((item.text, item.negated))
        return found[:MAX_ITEMS]

    def _of_alias(self, kind: str, name: str) -> list[tuple[str, bool]]:
        """The entries of an alias, found out once; one that leads to itself has none there."""
        key = (kind, name)
        if key not in self._aliases:
            self._aliases[key] = []
            self._depth += 1
            if self._depth <= MAX_NESTING:
                self._aliases[key] = self.flat(kind, self._policy.aliases[key].items)
            else:
                self._ground.tally.skip(TOO_MANY, name)
            self._depth -= 1
        return self._aliases[key]

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
        self._everybody = self._everybody or sorted(self._directory.by_name)
        return ["ALL", *itertools.islice((one for one in self._everybody if one in people), MAX_NAMES)]

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
        if not self._members:
            self._members[""] = set()
            for account in self._directory.by_name.values():
                for name in self._directory.groups_of(account):
                    self._members.setdefault(name, set()).add(account.name)
        if text.startswith("#") and text[1:].isdigit():
            text = self._directory.group_name(int(text[1:11]))
        return self._members.get(text, set())
