"""``mig-agent plugins add|list|remove``."""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import re
import shutil
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mig_core.agent.extending.fetching import choose, fetch, normal, own_distributions
from mig_core.agent.extending.place import INDEX, Added, Place
from mig_core.agent.extending.trying import try_out
from mig_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def add(place: Place, wanted: str, out: TextIO) -> None:
    """Adds a plugin by its name, a requirement like ``mig-plugin-x>=2``, or the path of a wheel.

    Raises:
        MigError: it was not added; nothing has changed.
    """
    if wanted.endswith(".whl"):
        wanted = str(Path(wanted).absolute())
    with place.changed() as fresh, tempfile.TemporaryDirectory(prefix="mig-plugins-") as folder:
        # 1. What is missing. What the agent came with stays as it is.
        chosen = choose(wanted, place.site, Path(folder))
        own = own_distributions(place.site)
        for one in chosen:
            if normal(one.name) in own:
                raise PluginError(one.name, f"{own[normal(one.name)]} is what the agent came with; it stays as it is")
        if not chosen:
            out.write(f"{wanted} is installed already, with all that it needs\n")
            return
        # 2. What was added before, and the new in its place.
        coming = {normal(one.name) for one in chosen}
        kept = [one for one in place.index() if normal(one.name) not in coming]
        _copy(place.current, fresh, {normal(one.name) for one in kept})
        _copy(fetch(chosen, Path(folder)), fresh, coming)
        _compile(fresh, place.current)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = [Added(one.name, one.version, one.sha256, wanted, now, _PYTHON, one.for_itself) for one in chosen]
        # 3. It loads, beside everything else.
        given = try_out(fresh, [one.name for one in chosen])
        place.write_index(fresh, [*kept, *rows])
    out.writelines(f"{row.name} {row.version} added\n" for row in rows)
    out.write(f"it gives: {', '.join(given)}\na running agent sees it within a minute, on SIGHUP at once\n")


def remove(place: Place, name: str, out: TextIO) -> None:
    """Takes an added plugin away, and what came with it alone.

    Raises:
        MigError: it was not added, or another needs it; nothing has changed.
    """
    rows = place.index()
    found = next((one for one in rows if normal(one.name) == normal(name)), None)
    if found is None:
        known = ", ".join(one.name for one in rows) or "none"
        raise PluginError(name, "was not added here", next_step=f"added were: {known}")
    left = [one for one in rows if one is not found]
    # What others need is not taken away, and what nobody needs any more goes along.
    needed = _needed(place.current, {normal(one.name) for one in left if one.for_itself})
    if normal(found.name) in needed:
        raise PluginError(found.name, "is needed by another plugin that was added; nothing was changed")
    kept = [one for one in left if normal(one.name) in needed]
    with place.changed() as fresh:
        _copy(place.current, fresh, {normal(one.name) for one in kept})
        _compile(fresh, place.current)
        place.write_index(fresh, kept)
    for row in rows:
        if row not in kept:
            out.write(f"{row.name} {row.version} removed\n")


def show(place: Place, out: TextIO, *, as_json: bool) -> bool:
    """Lists what was added; whether all of it loads here."""
    rows, sound = [], True
    for one in place.index():
        problem = ""
        if one.python != _PYTHON:
            problem = f"was added for Python {one.python}, this is {_PYTHON}: add it again"
        elif one.for_itself:
            try:
                try_out(place.current.resolve(), [one.name])
            except PluginError as error:
                problem = error.problem.replace(", nothing was changed", "")
        rows.append({**asdict(one), "problem": problem})
        sound = sound and not problem
    if as_json:
        out.write(json.dumps(rows) + "\n")
        return sound
    for row in rows:
        why = f"WRONG: {row['problem']}" if row["problem"] else f"added {row['time']}"
        out.write(f"{row['name']} {row['version']}{'' if row['for_itself'] else ' (needed by others)'}  {why}\n")
    return sound


def _needed(folder: Path, roots: Collection[str]) -> set[str]:
    """Names of the distributions in a folder that the roots need, themselves included."""
    there = {normal(one.name): one for one in metadata.distributions(path=[str(folder)])}
    found: set[str] = set()
    waiting = [name for name in roots if name in there]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            # Whatever a requirement names, under whatever condition: too much stays rather than too little.
            waiting += [one for one in map(_required, there[name].requires or ()) if one in there]
    return found


def _required(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normal(match[0]) if match else ""


def _copy(source: Path, target: Path, names: Collection[str]) -> None:
    """Copies the files of distributions, by the record that each has of its own.

    Raises:
        PluginError: a record names what is not in its folder, or two have one file.
    """
    if not source.is_dir():
        return
    base = source.resolve()
    for one in metadata.distributions(path=[str(source)]):
        if normal(one.name) not in names:
            continue
        for file in one.files or ():
            place = (base / str(file)).resolve()
            if not place.is_relative_to(base):
                continue  # a program of its own: agents have no use for it
            if not place.is_file() or place.suffix == ".pth" or place.name == INDEX:
                continue
            copy = target / place.relative_to(base)
            if copy.exists():
                raise PluginError(one.name, f"has a file that another plugin has too: {file}")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, copy)


def _compile(folder: Path, final: Path) -> None:
    """Beforehand, since the agent's service can write nothing there."""
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder, quiet=2, stripdir=str(folder), prependdir=str(final), invalidation_mode=mode)


def run(words: Sequence[str], *, as_json: bool, out: TextIO) -> bool:
    """What was typed; whether all is well.

    Raises:
        MigError: says why not.
    """
    place = Place.of_this_environment()
    os.umask(0o022)  # modules by hand (mig-agent -m) are for every account
    verb, *names = words
    if verb == "list":
        return show(place, out, as_json=as_json)
    for name in names:
        add(place, name, out) if verb == "add" else remove(place, name, out)
    return True
