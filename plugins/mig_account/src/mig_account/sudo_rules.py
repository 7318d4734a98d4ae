"""Rows about who may run what as whom with sudo and sudo-rs: rules resolved as ``sudo -l`` has them.

Whether a password is asked for is up to the rule's tags first, then to ``Defaults authenticate`` and ``exempt_group``,
which ``sudo -l`` does not say at the rule.
"""

from __future__ import annotations

import itertools
import re
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD, TOO_MANY, text_of
from mig_account.sudo_lines import SudoLines
from mig_account.sudo_people import MAX_NAMES, People, Resolver
from mig_account.sudoers import Defaults, Item, NotASudoLine, Policy, Rule
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

SUDO = "sudo"
PATHS = ("/etc/sudoers", "/usr/etc/sudoers")
RS_PATHS = ("/etc/sudoers-rs", "/etc/sudoers")
"""sudo-rs reads the first that is there."""
RS_PROGRAMS = ("/usr/bin/sudo-rs", "/usr/lib/cargo/bin/sudo", "/usr/local/bin/sudo-rs")
SUDO_CONF = "/etc/sudo.conf"
PLUGIN = Reason("policy plugin of sudo that is not read")
ONESELF = "oneself"
"""Whom a command runs as where the list of users in brackets is empty."""
NOT_NAMED = "nsswitch.conf has no files for sudoers"
MAX_COMPARED = 2_000_000
"""Comparisons of rules with those behind them."""
MAX_EXEMPTIONS = 500
"""Lines of defaults about passwords that are looked at."""
_RS_REFUSES_TAGS = frozenset({"NOEXEC", "EXEC", "LOG_INPUT", "NOLOG_INPUT", "LOG_OUTPUT", "NOLOG_OUTPUT"})
_SETTING = re.compile(r"(!*)[ \t]*([a-z_]+)(?:[ \t]*[-+]?=[ \t]*(\"[^\"]*\"|[^,\s]*))?")


def sudo_rows(ground: Ground, directory: Directory) -> Iterator[dict[str, Cell]]:
    """A row for each command that a rule of sudo or sudo-rs allows or denies, and for each line of defaults."""
    path = _configured(ground) or next((one for one in PATHS if ground.status_or_none(one) is not None), "")
    if path:
        yield from Sudo(ground, directory, path, "sudo").rows()
    if any(ground.status_or_none(one) is not None for one in RS_PROGRAMS):
        own = next((one for one in RS_PATHS if ground.status_or_none(one) is not None), "")
        if own:
            yield from Sudo(ground, directory, own, "sudo-rs").rows()


def _configured(ground: Ground) -> str:
    """Another file of rules that sudo.conf(5) names."""
    found = ""
    for _, raw in ground.lines(SUDO_CONF):
        words = text_of(raw).partition("#")[0].split()
        if len(words) >= 3 and words[0] == "Plugin" and "policy" in words[1]:
            if words[1] != "sudoers_policy":
                ground.tally.skip(PLUGIN, f"{words[1]} {words[2]}")
            named = [one.partition("=")[2] for one in words[3:] if one.startswith("sudoers_file=")]
            found = named[-1] if named else found
    return found


def host_name(ground: Ground) -> str:
    """The name of the system that is looked at."""
    if ground.tree.is_own:
        return socket.gethostname()
    return next((text_of(raw).strip() for _, raw in ground.lines("/etc/hostname")), "")


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A rule, and whom it means."""

    rule: Rule
    people: People
    here: bool | None
    run_as: list[str]
    why_not: str


class Sudo:
    """The rules of one program."""

    def __init__(self, ground: Ground, directory: Directory, path: str, program: str) -> None:
        self._ground = ground
        self._directory = directory
        self._program = program
        self._policy = Policy()
        self._compared = 0
        hostname = host_name(ground)
        is_asked = program != "sudo" or "files" in directory.switch.services("sudoers")
        for line in SudoLines(ground, hostname).read(path, why_not="" if is_asked else NOT_NAMED):
            try:
                self._policy.add(line)
            except NotASudoLine as problem:
                ground.tally.failed(NOT_UNDERSTOOD, f"{line.path}:{line.line}", str(problem))
        self._resolver = Resolver(ground, directory, self._policy, hostname)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """A row for each command of each rule, and for each line of defaults."""
        for setting in self._policy.defaults:
            yield self._defaults_row(setting)
        rules = [self._resolved(one) for one in self._policy.rules]
        for place, one in enumerate(rules):
            if self._ground.expired():
                return
            self._ground.tally.examined("rules")
            later = self._overruling(one, rules, place + 1)
            for people, asks in self._by_password(one):
                yield self._row(one, people, later) | {"asks_password": asks}

    def _resolved(self, rule: Rule) -> _Resolved:
        run_as = rule.manner.run_users
        if run_as is None:
            names = [self._run_as_default()]
        else:
            flat = self._resolver.flat("Runas", run_as)
            names = [f"!{text}" if negated else text for text, negated in flat] or [ONESELF]
        why_not = rule.source.why_not or (self._refused_by_rs(rule) if self._program == "sudo-rs" else "")
        return _Resolved(rule, self._resolver.people(rule.users), self._resolver.is_here(rule.hosts), names, why_not)

    def _row(self, one: _Resolved, people: People, later: list[People] | None) -> dict[str, Cell]:
        rule = one.rule
        names = self._resolver.names(people)
        row: dict[str, Cell] = {
            "what": SUDO,
            "kind": self._program,
            "name": ", ".join(map(_text, rule.users)),
            "users": names,
            "hosts": [_text(item) for item in rule.hosts],
            "here": one.here,
            "run_as": one.run_as,
            "run_as_groups": [_text(item) for item in rule.manner.run_groups],
            "command": rule.command.text,
            "commands": self._commands(rule.command),
            "allowed": not rule.command.negated,
            "tags": [*rule.manner.tags, *rule.manner.options, *rule.digests],
            "in_force": not one.why_not,
            "odd": [one.why_not] if one.why_not else [],
            "path": rule.source.path,
            "line": rule.source.line,
        }
        row["decides_for"] = (
            None if later is None else [name for name in names if not any(name in other for other in later)]
        )
        return row

    def _overruling(self, one: _Resolved, rules: list[_Resolved], begin: int) -> list[People] | None:
        """Whom later rules for the same command mean: the last rule that fits decides. None: too many to compare."""
        self._compared += len(rules) - begin
        found = []
        for other in itertools.islice(rules, begin, None) if self._compared <= MAX_COMPARED else ():
            counts = not other.why_not and other.here is True
            same = other.rule.command.text in ("ALL", one.rule.command.text)
            if counts and same and ("ALL" in other.run_as or {*one.run_as} <= {*other.run_as}):
                found.append(other.people)
        self._compared += len(found) * MAX_NAMES // 10
        return found if self._compared <= MAX_COMPARED else None

    def _commands(self, command: Item) -> list[str]:
        """The commands that an alias stands for."""
        flat = self._resolver.flat("Cmnd", (Item(command.text),))
        return [f"!{text}" if negated else text for text, negated in flat]

    def _by_password(self, one: _Resolved) -> Iterator[tuple[People, bool]]:
        """Those whom the rule means, apart: who is asked for a password, and who is not."""
        tags = one.rule.manner.tags
        if "NOPASSWD" in tags or "PASSWD" in tags or one.rule.command.negated:
            yield one.people, "NOPASSWD" not in tags
            return
        free, rest = one.people.parted(self._not_asked(one))
        if free:
            yield free, False
        if rest or not free:
            yield rest, True

    def _not_asked(self, one: _Resolved) -> People:
        """Who needs no password by the defaults: later lines win, and those of a command, user or host over others'."""
        free = People()
        for defaults, whom, is_free in self._exemptions:
            if self._concerns(defaults, one):
                _set(free, whom, is_free=is_free)
        return free

    @cached_property
    def _exemptions(self) -> list[tuple[Defaults, People, bool]]:
        """What defaults say of passwords: about what, whom it means, and whether they need none; in their order."""
        found: list[tuple[Defaults, People, bool]] = []
        for scope in ("", "@", ":", ">", "!"):
            for defaults in self._policy.defaults:
                if defaults.scope == scope and not defaults.source.why_not:
                    found += self._exempted(defaults)
        if len(found) > MAX_EXEMPTIONS:
            self._ground.tally.skip(TOO_MANY, "Defaults", count=len(found) - MAX_EXEMPTIONS)
        return found[:MAX_EXEMPTIONS]

    def _exempted(self, defaults: Defaults) -> Iterator[tuple[Defaults, People, bool]]:
        for signs, name, value in _SETTING.findall(defaults.settings):
            if name == "authenticate":
                is_named = defaults.scope == ":"
                whom = self._resolver.people(defaults.items) if is_named else People(everybody=True)
                yield defaults, whom, len(signs) % 2 == 1
            elif name == "exempt_group" and not defaults.scope:
                yield defaults, self._resolver.people((Item(f"%{value.strip(chr(34))}"),)), True

    def _concerns(self, defaults: Defaults, one: _Resolved) -> bool:
        """Whether defaults for hosts, commands or those run as are about a rule."""
        if defaults.scope == "@":
            return self._resolver.is_here(defaults.items) is not False
        if defaults.scope == "!":
            named = {text for text, negated in self._resolver.flat("Cmnd", defaults.items) if not negated}
            return "ALL" in named or bool(named & {*self._commands(one.rule.command)})
        if defaults.scope == ">":
            named = {text for text, negated in self._resolver.flat("Runas", defaults.items) if not negated}
            return "ALL" in named or bool(named & {*one.run_as})
        return True

    def _run_as_default(self) -> str:
        for defaults in reversed(self._policy.defaults):
            for _, name, value in _SETTING.findall(defaults.settings):
                if name == "runas_default" and not defaults.scope:
                    return str(value.strip('"'))
        return "root"

    def _defaults_row(self, defaults: Defaults) -> dict[str, Cell]:
        return {
            "what": SUDO,
            "kind": f"{self._program} defaults",
            "name": f"{defaults.scope}{','.join(map(_text, defaults.items))}",
            "setting": defaults.settings,
            "in_force": not defaults.source.why_not,
            "path": defaults.source.path,
            "line": defaults.source.line,
        }

    @staticmethod
    def _refused_by_rs(rule: Rule) -> str:
        """What sudo-rs 0.2 does not take, so that the line is not in force."""
        command = rule.command.text
        names = [item.text for item in (*rule.users, *rule.hosts, *(rule.manner.run_users or ()))]
        if any(name.startswith("+") for name in names):
            return "a netgroup, which sudo-rs refuses"
        if rule.digests or command.startswith("^") or command.split(" ")[0] in ("sudoedit", "list"):
            return "a form of command that sudo-rs refuses"
        if _RS_REFUSES_TAGS & set(rule.manner.tags) or any(not one.startswith("CWD=") for one in rule.manner.options):
            return "a tag or option that sudo-rs refuses"
        return ""


def _set(free: People, whom: People, *, is_free: bool) -> None:
    if whom.everybody:
        free.everybody, free.names = is_free, set()
    else:
        free.include(whom.names, negated=not is_free)


def _text(item: Item) -> str:
    return f"!{item.text}" if item.negated else item.text
