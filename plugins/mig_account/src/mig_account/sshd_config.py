"""What sshd's configuration says of one account: the first value that fits counts, or all of them, as sshd has it.

In a Match block a list like AllowUsers stands in place of the global one. What depends on where somebody comes from is
a case of its own: nobody connects while we look.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from mig_account.sshd_lines import Criteria, Setting, SshdLines
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Account

ADDED = frozenset(
    {"acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers", "hostkey", "listenaddress", "port"}
)
"""What further lines are added to; of everything else the first line counts."""
DEFAULTS = {
    "authenticationmethods": ("any",),
    "authorizedkeyscommand": ("none",),
    "authorizedkeyscommanduser": ("none",),
    "authorizedkeysfile": (".ssh/authorized_keys", ".ssh/authorized_keys2"),
    "authorizedprincipalscommand": ("none",),
    "authorizedprincipalsfile": ("none",),
    "passwordauthentication": ("yes",),
    "permitemptypasswords": ("no",),
    "permitrootlogin": ("prohibit-password",),
    "pubkeyauthentication": ("yes",),
    "revokedkeys": ("none",),
    "strictmodes": ("yes",),
    "trustedusercakeys": ("none",),
    "usepam": ("no",),
}
_CONNECTION = frozenset({"address", "host", "localaddress", "localport", "rdomain", "version"})
"""Criteria that only a connection answers."""
MAX_CASES = 16
"""Cases that are looked at for one account."""


@dataclass(frozen=True, slots=True)
class Case:
    """What holds for one account in one case."""

    values: dict[str, tuple[str, ...]]
    condition: str = ""
    """The Match line that a connection must fit; empty where none is asked for."""

    def words(self, keyword: str) -> tuple[str, ...]:
        """The words of a setting."""
        return self.values.get(keyword) or DEFAULTS.get(keyword, ())

    def word(self, keyword: str) -> str:
        """The first of them, in lower case."""
        words = self.words(keyword)
        return words[0].lower() if words else ""


class SshdConfig:
    """The configuration of one system."""

    def __init__(self, ground: Ground, directory: Directory, path: str) -> None:
        """``path``: of its file; empty where there is none, which leaves sshd's own defaults."""
        self._directory = directory
        self.path = path
        before = ground.tally.failures
        self.settings: list[Setting] = list(SshdLines(ground).read(self.path)) if self.path else []
        self.is_known = ground.tally.failures == before
        """Whether all of it could be read; else nobody knows what lets somebody in."""
        self._global = _collected([one for one in self.settings if _is_global(one)])
        self._blocks = [one for one in self.settings if not _is_global(one)]

    def cases(self, account: Account) -> list[Case]:
        """What holds for an account, first without regard to where it comes from, then for each place named."""
        groups = self._directory.groups_of(account)
        always: list[Setting] = []
        conditions: dict[str, None] = {}
        sometimes: list[tuple[Setting, str]] = []
        for setting in self._blocks:
            fits, condition = self._fits(setting.under, account, groups)
            if fits and condition:
                conditions[condition] = None
                sometimes.append((setting, condition))
            elif fits:
                always.append(setting)
        cases = [self._case(always, "")]
        for condition in list(conditions)[:MAX_CASES]:
            wanted = {id(one) for one, text in sometimes if text == condition} | {id(one) for one in always}
            cases.append(self._case([one for one in self._blocks if id(one) in wanted], condition))
        return cases

    def _case(self, settings: list[Setting], condition: str) -> Case:
        return Case({**self._global, **_collected(settings)}, condition)

    def _fits(self, under: tuple[Criteria, ...], account: Account, groups: list[str]) -> tuple[bool, str]:
        """Whether Match lines fit an account, and which of them only a connection answers."""
        answers: dict[str, Callable[[str], bool]] = {
            "all": lambda _: True,
            "user": lambda patterns: in_patterns(account.name, patterns),
            "group": lambda patterns: any_in_patterns(groups, patterns),
        }
        conditions = []
        for criteria in under:
            for name, patterns in criteria.tests:
                if name in _CONNECTION:
                    conditions.append(criteria.text)
                elif name not in answers or not answers[name](patterns):
                    return False, ""
        return True, " and ".join(dict.fromkeys(conditions))


def in_patterns(text: str, patterns: str) -> bool:
    """Whether a text is in a list of patterns with commas between; a negated one that fits rules it out."""
    found = False
    for pattern in patterns.split(","):
        if fnmatch.fnmatchcase(text, _plain(pattern.removeprefix("!"))):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def any_in_patterns(texts: list[str], patterns: str) -> bool:
    """As :func:`in_patterns` for groups: one that a negated pattern fits rules all out (``ga_match_pattern_list``)."""
    found = False
    for text in texts:
        for pattern in patterns.split(","):
            if fnmatch.fnmatchcase(text, _plain(pattern.removeprefix("!"))):
                if pattern.startswith("!"):
                    return False
                found = True
    return found


def _plain(pattern: str) -> str:
    """A pattern of sshd, in which brackets mean themselves."""
    return pattern.replace("[", "[[]")


def _is_global(setting: Setting) -> bool:
    return all(name == "all" for criteria in setting.under for name, _ in criteria.tests)


def _collected(settings: list[Setting]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in settings:
        if one.keyword in ADDED:
            found[one.keyword] = (*found.get(one.keyword, ()), *one.words)
        else:
            found.setdefault(one.keyword, one.words)
    return found


def counts(settings: list[Setting]) -> set[int]:
    """Which of the settings are in force in their own block, by ``id``: the first of a keyword, or each that adds."""
    seen: set[tuple[str, tuple[Criteria, ...]]] = set()
    found = set()
    for one in settings:
        key = (one.keyword, one.under)
        if one.keyword in ADDED or key not in seen:
            found.add(id(one))
        seen.add(key)
    return found
