"""Lock files of npm, pnpm, yarn (1, and 2 and newer), bun and deno.

Where a package is installed under another name (``npm:lodash@4``), its own name counts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mig_pkg import loose_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.document import JSON

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*")
_PNPM_KEY = re.compile(r"  (?P<quote>['\"]?)/?(?P<name>(?:@[^/@]+/)?[^/@'\"]+)[@/](?P<rest>.+?)(?P=quote):(?: .*)?")
"""``  lodash@4.17.21:``, ``  /lodash/4.17.21:`` in older ones, peers and what a git commit is of behind it."""
_PNPM_VERSION = re.compile(r"    version: ['\"]?([^\s'\"]+)")
_YARN_FIELD = re.compile(r"  (version|resolution):? \"?([^\"\n]*?)\"?\s*")
_ALIAS = re.compile(r"@npm:((?:@[^/@]+/)?[^/@]+)@")
_NAME = re.compile(r"((?:@[^/@]+/)?[^/@]+)@")


def npm(text: str) -> Iterator[tuple[str, str]]:
    """``package-lock.json`` of every version, and ``npm-shrinkwrap.json``."""
    lock = _object(json.loads(text))
    packages = lock.get("packages")
    if not isinstance(packages, dict):
        yield from _npm_one(lock)
        return
    for path, entry in packages.items():
        if isinstance(entry, dict) and "node_modules/" in path and not entry.get("link"):
            name, version = entry.get("name", path.rpartition("node_modules/")[2]), entry.get("version")
            if isinstance(name, str) and isinstance(version, str):
                yield name, version


def _npm_one(lock: dict[str, JSON]) -> Iterator[tuple[str, str]]:
    """Version 1: dependencies in dependencies."""
    ahead = [lock]
    while ahead:
        dependencies = ahead.pop().get("dependencies")
        for name, entry in dependencies.items() if isinstance(dependencies, dict) else ():
            if not isinstance(entry, dict):
                continue
            ahead.append(entry)
            version = entry.get("version")
            if isinstance(version, str) and version.startswith("npm:"):
                name, _, version = version.removeprefix("npm:").rpartition("@")
            if isinstance(version, str) and _VERSION.fullmatch(version):
                yield name, version


def pnpm(text: str) -> Iterator[tuple[str, str]]:
    """``pnpm-lock.yaml``: the keys of ``packages``; a version stands beside where the key has an address."""
    lines = text.splitlines()
    if not any(line.startswith("lockfileVersion:") for line in lines):
        raise ValueError("no lockfileVersion")
    is_inside = False
    name = ""
    for line in lines:
        if line[:1].strip():
            is_inside = line.rstrip() == "packages:"
        if not is_inside:
            continue
        if key := _PNPM_KEY.fullmatch(line):
            name = key["name"]
            version = _VERSION.match(key["rest"])
            if version is not None:
                yield name, re.split(r"[_(]", version[0])[0]
                name = ""
        elif name and (beside := _PNPM_VERSION.match(line)):
            yield name, beside[1]
            name = ""


def yarn(text: str) -> Iterator[tuple[str, str]]:
    """``yarn.lock`` of every version of yarn."""
    if "# yarn lockfile v1" not in text and "__metadata:" not in text:
        raise ValueError("neither of yarn 1 nor of a newer one")
    name = ""
    for line in text.splitlines():
        if line[:1].strip() and line[0] != "#":
            first = line.split(",")[0].strip('" :')
            read = _ALIAS.search(first) or _NAME.match(first)
            name, version = read[1] if read else "", ""
        elif name and (field := _YARN_FIELD.fullmatch(line)):
            if field[1] == "version":
                version = field[2]
                if version and "# yarn lockfile v1" in text[:200]:
                    yield name, version
            elif version and "@workspace:" not in field[2] and (own := _NAME.match(field[2])):
                yield own[1], version


def bun(text: str) -> Iterator[tuple[str, str]]:
    """``bun.lock``: JSON with commas before closing brackets."""
    packages = _object(loose_json.loads(text)).get("packages")
    if not isinstance(packages, dict):
        raise ValueError("no packages")
    for entry in packages.values():
        if isinstance(entry, list) and entry and isinstance(entry[0], str):
            name, _, version = entry[0].rpartition("@")
            if name and _VERSION.fullmatch(version):
                yield name, version


def deno(text: str) -> Iterator[tuple[str, str]]:
    """``deno.lock`` of versions 2 to 5: keys are ``name@1.0.0``, with the peers that it was resolved for behind it."""
    lock = _object(json.loads(text))
    if "version" not in lock:
        raise ValueError("no version")
    older = lock.get("packages")
    npm = lock.get("npm", older.get("npm") if isinstance(older, dict) else None)
    within = npm.get("packages", npm) if isinstance(npm, dict) else None
    for key in within if isinstance(within, dict) else ():
        if (name := _NAME.match(key)) and (version := _VERSION.match(key[name.end() :])):
            yield name[1], version[0]


def _object(read: JSON) -> dict[str, JSON]:
    if not isinstance(read, dict):
        raise ValueError("not an object")
    return read
