"""Finds the rules of the settings: those that come with the module, and those in files and folders.

A file that cannot be used is named and the others are loaded: a detection that is missing must not cost the rest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import InvalidDocument, MigError
from mig_sigma.compiling import MAX_FILE, Compiled, compile_text
from mig_sigma.rule import MAX_BYTES, Rule, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUILTIN = "builtin"
MAX_FILES = 10_000
_YAML = (".yml", ".yaml")


@dataclass(slots=True)
class Found:
    """Rules, where each is from, and what could not be used."""

    rules: dict[str, tuple[Rule, str]] = field(default_factory=dict)
    """Rule id -> the rule and its origin; of two with one id the first counts."""
    problems: dict[str, str] = field(default_factory=dict)
    """File, or rule in it -> what is wrong."""

    def add(self, rules: Sequence[Rule], origin: str) -> None:
        """Takes rules that are not there yet."""
        for one in rules:
            if one.id in self.rules:
                self.problems[f"{origin}: {one.title}"] = f"has the id of a rule of {self.rules[one.id][1]}"
            else:
                self.rules[one.id] = (one, origin)


def builtin_rules() -> list[Rule]:
    """The rules that come with the module, compiled."""
    raw = resources.files("mig_sigma").joinpath("data", "builtin.json").read_bytes()
    return read(raw, subject="rules of the module")


def find(paths: Sequence[str], *, builtin: bool) -> Found:
    """All rules.

    Args:
        paths: files and folders.
        builtin: whether the module's own are among them.
    """
    found = Found()
    if builtin:
        found.add(builtin_rules(), BUILTIN)
    for path in paths:
        for file in _files(path, found):
            load_file(file, found)
    return found


def load_file(file: str, found: Found) -> None:
    """The rules of one file, of either form."""
    largest = MAX_FILE if file.endswith(_YAML) else MAX_BYTES
    try:
        with open(file, "rb") as opened:
            raw = opened.read(largest + 1)
    except OSError as error:
        found.problems[file] = f"cannot be read: {error.strerror}"
        return
    if len(raw) > largest:
        found.problems[file] = f"is larger than {largest} bytes"
        return
    try:
        if not file.endswith(_YAML):
            found.add(read(raw, subject=file), file)
            return
        made = Compiled()
        compile_text(raw.decode("utf-8", "replace"), file, made)
    except InvalidDocument as error:
        found.problems[file] = str(error)
        return
    except MigError as error:
        found.problems[file] = f"{error}; {error.next_step}"
        return
    found.problems.update(made.left_out)
    found.add(made.rules, file)


def _files(path: str, found: Found) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    chosen = sorted(
        str(one) for suffix in ("json", "yml", "yaml") for one in Path(path).rglob(f"*.{suffix}") if one.is_file()
    )
    if not chosen:
        found.problems[path] = "is a folder without .json or .yml files"
    if len(chosen) > MAX_FILES:
        found.problems[path] = f"has {len(chosen)} files, the first {MAX_FILES} are used"
    yield from chosen[:MAX_FILES]
