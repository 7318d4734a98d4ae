"""Texts of which every match of a rule finds one in the alert's own JSON: so that of many rules few are asked about it.

All texts of all rules are looked for at once, in the alert as it came, in lower case and undecoded. So a text is
written as JSON writes it, and where it must be the beginning or the end of a value, with the quote there. What an event
gets only here (a command line, what its parents ran) is put behind the alert in the same form (:mod:`judging`); where a
value is put together from several (a path), only a piece that lies within one of them can be looked for. A rule without
such a text is asked about every event of its kind.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mig_sigma import catalogue
from mig_sigma.auditd import DERIVED
from mig_sigma.expressions import glob_parts
from mig_sigma.rule import Group

if TYPE_CHECKING:
    from mig_sigma.rule import Node, Test

SHORTEST = 2
"""Shorter texts, with their quotes, are in too many alerts to tell anything."""
_VALUES = {
    catalogue.PROCESS: {"Image", "CommandLine", "CurrentDirectory", "ParentImage", "ParentCommandLine"},
    catalogue.NETWORK: set[str](),
}
"""Kind -> fields whose values stand in the alert, or behind it, as they are."""
_PATHS = {"TargetFilename", "SourceFilename"}
_ADDRESSES = {"DestinationIp", "SourceIp"}
_NUMBERS = {"syscall": "number"} | {
    name: name
    for name in (
        "pid", "ppid", "exit", "auid", "uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid",
    )
}  # fmt: skip
"""Fields of the trail's records that are numbers in the alert -> their member there."""
_MADE = {"success", "ses", "argc", "item", "inode", "ouid", "ogid", "lport", "laddr", "saddr_fam", "arch", "ARCH"}
"""Those that are written otherwise there."""
_CALL_ARGUMENT = re.compile("a[0-3]")
_HEXADECIMAL = re.compile("[0-9a-fA-F]+")
_FREQUENT = frozenset(
    f'"{one}"'
    for one in (
        "syscall", "execve", "execveat", "path", "cwd", "proctitle", "process", "user", "name", "type", "mode", "time",
        "keys", "tty", "exit", "session", "title", "command", "file", "device", "arch",
    )
)  # fmt: skip
"""Values that are in most alerts, and names of members, which look like values: they tell little."""
_KELVIN, _DOTTED = "\u212a".encode(), "\u0130".encode()
"""The only letters outside ASCII that have a letter of ASCII in their lower case: the Kelvin sign, the dotted I."""
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def line(raw: bytes) -> bytes:
    """An alert's JSON as texts are looked for in it: in lower case."""
    if not raw.isascii() and (_KELVIN in raw or _DOTTED in raw):
        raw = raw.decode("utf-8", "replace").lower().encode("utf-8", "replace")
    return raw.lower()


def best_guard(kind: str, node: Node) -> frozenset[str] | None:
    """The texts, in lower case; None where there are none."""
    rare = _guard_of(kind, node, _FREQUENT)
    return _guard_of(kind, node, frozenset()) if rare is None else rare


def _guard_of(kind: str, node: Node, ignored: frozenset[str]) -> frozenset[str] | None:
    if not isinstance(node, Group):
        texts = _of_test(kind, node)
        return None if texts is not None and texts & ignored else texts
    if node.word == "not":
        return None
    found = [_guard_of(kind, one, ignored) for one in node.nodes]
    if node.word == "any":
        if any(one is None for one in found):
            return None
        return frozenset().union(*(one for one in found if one is not None))
    there = [one for one in found if one is not None]
    return max(there, key=_worth) if there else None


def _worth(texts: frozenset[str]) -> tuple[int, int]:
    """How rarely such texts are met: long ones, and few."""
    return min(map(len, texts)), -len(texts)


def _of_test(kind: str, test: Test) -> frozenset[str] | None:
    texts = [_text_of(kind, test.field, test.test, value) for value in test.values]
    if not texts or any(text is None or len(text) < SHORTEST for text in texts):
        return None
    return frozenset(text.lower() for text in texts if text is not None)


def _text_of(kind: str, name: str, test: str, value: str) -> str | None:
    """What the alert must contain if a value of the field passes; None where that is not known."""
    if test == "glob":
        pieces = [part for part in glob_parts(value) if isinstance(part, str)]
        test, value = "contains", max(pieces, key=len, default="")
    if test not in ("equals", "startswith", "endswith", "contains"):
        return None
    if kind == catalogue.AUDITD:
        return _of_record(name, test, value)
    if name in _PATHS:
        return _written(max(value.split("/"), key=len), "contains")
    if name and name not in _ADDRESSES and name not in _VALUES.get(kind, ()):
        return None
    return _written(value, test if name and name not in _ADDRESSES else "contains")


def _of_record(name: str, test: str, value: str) -> str | None:
    """The same for a field of the audit trail's records."""
    if name in _NUMBERS:
        return f'"{_NUMBERS[name]}":{value}' if test == "equals" and value.isdecimal() else None
    if name in _MADE:
        return None
    if name == "type" and test == "equals" and value.lower() not in DERIVED:
        return f'"type":{json.dumps(value)}'
    # An argument of a call has 0x in front of it.
    anywhere = not name or (_CALL_ARGUMENT.fullmatch(name) and _HEXADECIMAL.fullmatch(value))
    return _written(value, "contains" if anywhere else test)


def _written(value: str, test: str) -> str:
    """A value, or a piece of it that is written the same everywhere, as it stands in the line."""
    small = value.lower()
    pieces = [piece for part in small.split('"') for piece in _BEYOND_ASCII.split(part)]
    if pieces != [small]:
        test, small = "contains", max(pieces, key=len)
    escaped = json.dumps(small, ensure_ascii=False)[1:-1]
    before = '"' if test in ("equals", "startswith") else ""
    after = '"' if test in ("equals", "endswith") else ""
    return f"{before}{escaped}{after}"
