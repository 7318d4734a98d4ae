"""The grammar of sudoers: from a line to aliases, defaults and rules (sudoers(5), plugins/sudoers/toke.l of 1.9.13).

What holds for a command holds for those behind it in the list: whom it runs as, tags, options; a new host begins anew.
A tag in front of a negated command goes on too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.records import dataclass, field, replace

if TYPE_CHECKING:
    from mig_account.sudo_lines import SudoLine

TAGS = (
    "NOPASSWD", "PASSWD", "NOEXEC", "EXEC", "SETENV", "NOSETENV", "LOG_INPUT", "NOLOG_INPUT", "LOG_OUTPUT",
    "NOLOG_OUTPUT", "FOLLOW", "NOFOLLOW", "MAIL", "NOMAIL", "INTERCEPT", "NOINTERCEPT",
)  # fmt: skip
_TAG = re.compile(rf"({'|'.join(sorted(TAGS, key=len, reverse=True))})[ \t]*:")
_OPTION = re.compile(
    r"(ROLE|TYPE|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT|PRIVS|LIMITPRIVS|APPARMOR_PROFILE)[ \t]*=[ \t]*"
    r"(\"[^\"]*\"|(?:\\.|[^\s,:\\])+)[ \t]*"
)
_DIGEST = re.compile(r"(sha(?:224|256|384|512))[ \t]*:[ \t]*([A-Za-z0-9+/=]+)[ \t]*,?[ \t]*")
_WORD = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|(?:\\.|[^#>!=:,()\\\"\s]|(?<=[%:])#|#(?=-?\d))(?:\\.|[^#>!=:,()\\\"\s]|(?<=%)#)*"
)
_GROUP = re.compile(r"%:?(?:\"[^\"]*\"|#?(?:\\.|[^#>!=:,()\\\"\s])+)")
_COMMAND = re.compile(r"\^(?:[^$\\]|\\.)*\$|(?:\\.|[^,:=#\\\s])+")
_ARGUMENTS = re.compile(r"[ \t]+(\^.*?\$(?=[ \t]*(?:,|:|\Z))|(?:\\.|[^,:=#\\])+)")
_HOST = re.compile(r"[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*(?:/\d+)?|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?:/\d+)?")
_ALIAS_LINE = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\b[ \t]*")
_DEFAULTS = re.compile(r"Defaults(?:([@:!>])[ \t]*|[ \t]+)")
_ALIAS_NAME = re.compile(r"[A-Z][A-Z0-9_]*\Z")


class NotASudoLine(ValueError):
    """A line that sudo does not understand."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list."""

    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a list; ``kind`` is User, Runas, Host or Cmnd."""

    kind: str
    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Defaults:
    """Settings, for everybody or for those in a list: ``scope`` is empty or one of ``@:!>``."""

    scope: str
    items: tuple[Item, ...]
    settings: str
    source: SudoLine


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command is run: what goes on from one to the next in a list."""

    run_users: tuple[Item, ...] | None = None
    """None: nothing is said; an empty list: as oneself."""
    run_groups: tuple[Item, ...] = ()
    tags: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What one line allows or denies for one command."""

    users: tuple[Item, ...]
    hosts: tuple[Item, ...]
    command: Item
    manner: Manner
    source: SudoLine
    digests: tuple[str, ...] = ()


@dataclass(slots=True)
class Policy:
    """What all lines say."""

    aliases: dict[tuple[str, str], Alias] = field(default_factory=dict)
    defaults: list[Defaults] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    def add(self, line: SudoLine) -> None:
        """Adds a line.

        Raises:
            NotASudoLine: sudo would not understand it.
        """
        scanner = _Scanner(line.text)
        if found := scanner.take(_ALIAS_LINE):
            kind = "Cmnd" if found[1] == "Cmd" else found[1]
            for alias in scanner.aliases(kind):
                self.aliases.setdefault((alias.kind, alias.name), alias)
        elif found := scanner.take(_DEFAULTS):
            scope = found[1] or ""
            items = scanner.names(commands=scope == "!", arguments=False) if scope else ()
            self.defaults.append(Defaults(scope, items, scanner.rest(), line))
        else:
            self.rules.extend(scanner.rules(line))


def is_alias_name(text: str) -> bool:
    """Whether a word may be an alias."""
    return bool(_ALIAS_NAME.match(text))


class _Scanner:
    """Goes over one line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def take(self, form: re.Pattern[str]) -> re.Match[str] | None:
        """What fits here; the place is behind it then."""
        found = form.match(self._text, self._place)
        if found:
            self._place = found.end()
        return found

    def rest(self) -> str:
        """All that is left."""
        return self._text[self._place :].strip()

    def aliases(self, kind: str) -> list[Alias]:
        """The definitions of a line: ``NAME = list : NAME = list``."""
        found = []
        while True:
            name = self._word()
            if not is_alias_name(name):
                raise NotASudoLine(f"not a name of an alias: {name[:40]!r}")
            self._need("=")
            found.append(Alias(kind, name, self.names(commands=kind == "Cmnd", hosts=kind == "Host")))
            if not self._sign(":"):
                break
        self._end()
        return found

    def names(self, *, commands: bool = False, hosts: bool = False, arguments: bool = True) -> tuple[Item, ...]:
        """A list."""
        items = []
        while True:
            negated = self._negated()
            if commands:
                self._digests()
            items.append(Item(self._command(arguments=arguments) if commands else self._word(hosts=hosts), negated))
            if not self._sign(","):
                return tuple(items)

    def rules(self, line: SudoLine) -> list[Rule]:
        """The rules of a line: ``users hosts = commands : hosts = commands``."""
        users = self.names()
        found: list[Rule] = []
        while True:
            hosts = self.names(hosts=True)
            self._need("=")
            manner = Manner()
            while True:
                manner = self._manner(manner)
                digests = self._digests()
                command = Item(negated=self._negated(), text=self._command())
                found.append(Rule(users, hosts, command, manner, line, digests))
                if not self._sign(","):
                    break
            if not self._sign(":"):
                break
        self._end()
        return found

    def _digests(self) -> tuple[str, ...]:
        found = []
        while digest := self.take(_DIGEST):
            size = int(digest[1][3:]) // 8
            if len(digest[2]) not in (2 * size, 4 * ((size + 2) // 3)):
                raise NotASudoLine("a digest of the wrong length")
            found.append(digest[1])
        self._blanks()
        return tuple(found)

    def _manner(self, manner: Manner) -> Manner:
        if self._sign("("):
            users, groups = self._run_as()
            manner = replace(manner, run_users=users, run_groups=groups)
        while True:
            self._blanks()
            if option := self.take(_OPTION):
                kept = [one for one in manner.options if not one.startswith(f"{option[1]}=")]
                manner = replace(manner, options=(*kept, f"{option[1]}={option[2]}"))
            elif tag := self.take(_TAG):
                name = tag[1]
                other = name.removeprefix("NO") if name.startswith("NO") else f"NO{name}"
                manner = replace(manner, tags=(*(one for one in manner.tags if one not in (other, name)), name))
            else:
                return manner

    def _run_as(self) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        users: tuple[Item, ...] = ()
        groups: tuple[Item, ...] = ()
        self._blanks()
        if not self._at(")") and not self._at(":"):
            users = self.names()
        if self._sign(":") and not self._at_blank(")"):
            groups = self.names()
        self._need(")")
        return users, groups

    def _command(self, *, arguments: bool = True) -> str:
        self._blanks()
        found = self.take(_COMMAND)
        if not found:
            raise NotASudoLine(f"no command at {self._text[self._place :][:40]!r}")
        if is_alias_name(found[0]):
            return found[0]
        more = self.take(_ARGUMENTS) if arguments else None
        command = found[0] if more is None else f"{found[0]} {more[1].strip()}"
        if not command.startswith(("/", "^", "sudoedit", "list", "~", "*")):
            raise NotASudoLine(f"not a command: {command[:40]!r}")
        return command

    def _word(self, *, hosts: bool = False) -> str:
        self._blanks()
        found = (hosts and self.take(_HOST)) or self.take(_GROUP) or self.take(_WORD)
        if not found:
            raise NotASudoLine(f"nothing that could be a name at {self._text[self._place :][:40]!r}")
        return re.sub(r"\\(.)", r"\1", found[0].replace('"', ""))

    def _negated(self) -> bool:
        negated = False
        while self._sign("!"):
            negated = not negated
        return negated

    def _blanks(self) -> None:
        while self._place < len(self._text) and self._text[self._place] in " \t":
            self._place += 1

    def _at(self, sign: str) -> bool:
        return self._text.startswith(sign, self._place)

    def _at_blank(self, sign: str) -> bool:
        self._blanks()
        return self._at(sign)

    def _sign(self, sign: str) -> bool:
        self._blanks()
        if self._at(sign):
            self._place += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._sign(sign):
            raise NotASudoLine(f"no {sign!r} at {self._text[self._place :][:40]!r}")

    def _end(self) -> None:
        self._blanks()
        if self._place < len(self._text) and not self._at("#"):
            raise NotASudoLine(f"more than is understood: {self._text[self._place :][:40]!r}")
