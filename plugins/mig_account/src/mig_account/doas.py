"""Rows about who may run what as whom with doas (doas.conf(5) of OpenDoas 6.8.2): the last line that fits decides."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD
from mig_account.sudo_lines import logical_lines, unsafe
from mig_account.sudo_rules import SUDO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

FILE = "/etc/doas.conf"
FOLDER = "/etc/doas.d"
"""Where Alpine's doas has more, ``*.conf``."""
_OPTIONS = ("nopass", "nolog", "persist", "keepenv")


def doas_rows(ground: Ground, directory: Directory) -> Iterator[dict[str, Cell]]:
    """A row for each line."""
    more = [f"{FOLDER}/{name}" for name in ground.names(FOLDER) if name.endswith(".conf")]
    for path in (*more, FILE):
        why_not = unsafe(ground, path)
        for number, text in logical_lines(ground, path):
            ground.tally.examined("rules")
            try:
                row = _row(shlex.split(text, comments=True), directory)
            except ValueError as problem:
                ground.tally.failed(NOT_UNDERSTOOD, f"{path}:{number}", str(problem))
                continue
            yield row | {
                "path": path,
                "line": number,
                "in_force": not why_not,
                "odd": [why_not] if why_not else [],
            }


def _row(words: list[str], directory: Directory) -> dict[str, Cell]:
    """The cells of a line.

    Raises:
        ValueError: it is no rule.
    """
    ahead = list(reversed(words))
    action = ahead.pop() if ahead else ""
    if action not in ("permit", "deny"):
        raise ValueError("neither permit nor deny")
    tags = []
    while ahead and (ahead[-1] in _OPTIONS or ahead[-1] == "setenv"):
        tags.append(ahead.pop())
        if tags[-1] == "setenv":
            while ahead and ahead.pop() != "}":
                pass
    if not ahead:
        raise ValueError("nobody is named")
    who = ahead.pop()
    target = _after(ahead, "as")
    command = _after(ahead, "cmd")
    arguments = ahead[::-1][1:] if ahead and ahead[-1] == "args" else []
    return {
        "what": SUDO,
        "kind": "doas",
        "name": who,
        "users": _users(who, directory),
        "run_as": [target or "ALL"],
        "command": " ".join((command or "ALL", *arguments)),
        "allowed": action == "permit",
        "asks_password": "nopass" not in tags,
        "tags": tags,
    }


def _after(ahead: list[str], word: str) -> str:
    if len(ahead) > 1 and ahead[-1] == word:
        ahead.pop()
        return ahead.pop()
    return ""


def _users(who: str, directory: Directory) -> list[str]:
    if not who.startswith(":"):
        return [directory.account_name(int(who)) if who.isdigit() and len(who) < 11 else who]
    group = who[1:]
    if group.isdigit() and len(group) < 11:
        group = directory.group_name(int(group))
    return sorted(one.name for one in directory.by_name.values() if group in directory.groups_of(one))
