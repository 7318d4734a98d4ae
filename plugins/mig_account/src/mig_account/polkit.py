"""Rows about what polkit lets people do without asking (polkit(8), pklocalauthority(8)).

Rules are programs in JavaScript: they are not run, so whom they mean is not known; what they name is said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD, text_of
from mig_account.sudo_rules import SUDO
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

FOLDERS = tuple(f"{one}/polkit-1/rules.d" for one in ("/etc", "/run", "/usr/local/share", "/usr/share"))
AUTHORITIES = ("/etc/polkit-1/localauthority", "/var/lib/polkit-1/localauthority")
NOT_RUN = Reason("polkit rule, a program that was not run", as_asked=True)
MAX_FILE = 1 << 20
_COMMENTS = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)
_RESULT = re.compile(r"polkit\.Result\.([A-Z_]{2,30})")
_ACTION = re.compile(r"[\"']([A-Za-z][\w-]*(?:\.[\w*-]+){2,12})\.?[\"']")
_GROUP = re.compile(r"isInGroup\(\s*[\"']([^\"']{1,256})[\"']")
_USER = re.compile(r"\.user\s*={2,3}\s*[\"']([^\"']{1,256})[\"']")


def polkit_rows(ground: Ground, directory: Directory) -> Iterator[dict[str, Cell]]:
    """A row for each file of rules that is read, and for each section of the older form."""
    files: dict[str, str] = {}
    for folder in FOLDERS:
        for name in ground.names(folder):
            if name.endswith(".rules"):
                files.setdefault(name, f"{folder}/{name}")
    for name in sorted(files):
        content = ground.content(files[name], MAX_FILE)
        if content:
            ground.tally.examined("rules")
            ground.tally.skip(NOT_RUN, files[name])
            yield _rule(_COMMENTS.sub("", text_of(content)), files[name])
    for folder in AUTHORITIES:
        for inner in ground.names(folder):
            for name in ground.names(f"{folder}/{inner}"):
                if name.endswith(".pkla"):
                    yield from _sections(ground, directory, f"{folder}/{inner}/{name}")


def _rule(text: str, path: str) -> dict[str, Cell]:
    groups = [f"%{one}" for one in dict.fromkeys(_GROUP.findall(text))]
    return {
        "what": SUDO,
        "kind": "polkit",
        "name": ", ".join((*groups, *dict.fromkeys(_USER.findall(text)))),
        "users": None,
        "commands": list(dict.fromkeys(_ACTION.findall(text)))[:200],
        "tags": list(dict.fromkeys(_RESULT.findall(text)))[:20],
        "asks_password": None,
        "in_force": True,
        "path": path,
    }


def _sections(ground: Ground, directory: Directory, path: str) -> Iterator[dict[str, Cell]]:
    import configparser

    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text_of(ground.content(path, MAX_FILE) or b""))
    except configparser.Error as error:
        ground.tally.failed(NOT_UNDERSTOOD, path, str(error)[:200])
        return
    for name in parser.sections():
        ground.tally.examined("rules")
        section = parser[name]
        results = [section.get(one, "") for one in ("ResultAny", "ResultInactive", "ResultActive")]
        who = [one.strip() for one in section.get("Identity", "").split(";") if one.strip()]
        yield {
            "what": SUDO,
            "kind": "polkit pkla",
            "name": ", ".join(who),
            "users": _users(who, directory),
            "commands": [one.strip() for one in section.get("Action", "").split(";") if one.strip()],
            "tags": [one for one in results if one],
            "allowed": any(one and one != "no" for one in results),
            "asks_password": "yes" not in results,
            "in_force": True,
            "path": path,
        }


def _users(who: list[str], directory: Directory) -> list[str]:
    found: set[str] = set()
    for identity in who:
        kind, _, name = identity.partition(":")
        if kind == "unix-user":
            found.update(directory.by_name if name == "*" else [name])
        elif kind == "unix-group":
            found.update(one.name for one in directory.by_name.values() if name in directory.groups_of(one))
    return sorted(found)
