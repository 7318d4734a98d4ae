"""What lies at the places of :mod:`mig_endpoint.places`, and which of it is in force there as far as names decide."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from mig_autorun.system import Home
from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass
from mig_endpoint import coverage
from mig_endpoint.places.place import Place, Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.system import File, System
    from mig_endpoint.places.place import Spot

WILD = frozenset("*?[")
MAX_DEPTH = 8
MAX_FOUND = 50_000
MAX_DIGITS = 12
RUNTIME = "/run/user/*"
"""Runtime directories of users, of which each has places like a home."""
OTHER_NAME = Reason("file whose name is not in force at its place", as_asked=True)
TOO_DEEP = Reason("directory deeper than eight below a place")
TOO_MANY = Reason("place where more lies than is looked at")
_QUIET = frozenset({"python", "package-script", "command-line"})
"""Readers of places that are full of other things: what has another name there is not worth booking."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file at a place."""

    place: Place
    file: File
    home: Home | None = None
    """Whose home it lies in."""
    state: str = ""
    """Why it is not in force, as far as name, mode and other places decide; empty when it may be."""

    @property
    def user(self) -> str:
        """As whom it runs, unless the file itself says so."""
        return self.home.user if self.home is not None else self.place.runs_as


def find(system: System, place: Place) -> list[Found]:
    """Everything at a place that is in force or only lost by its mode or to another file; other names are booked."""
    found: list[Found] = []
    first: dict[str, File] = {}
    seen: set[str] = set()
    for file, home in _files(system, place):
        where = _where(system, file)
        if where in seen:
            continue  # two of the paths lead to one folder (/lib and /usr/lib)
        seen.add(where)
        if not place.in_force(file.name):
            if place.reader not in _QUIET and not file.is_directory:
                system.tally.skip(OTHER_NAME, file.path)
            continue
        if len(found) >= MAX_FOUND:
            system.tally.skip(TOO_MANY, place.name)
            break
        found.append(Found(place, file, home, _state(place, file, home, first)))
    return found


def _where(system: System, file: File) -> str:
    """The entry itself, whatever it leads to: its folder without links, and its name."""
    above, _, name = file.path.rpartition("/")
    folder = system.at(above or "/")
    return f"{folder.real if folder is not None else above}/{name}"


def _state(place: Place, file: File, home: Home | None, first: dict[str, File]) -> str:
    """Why a file is not in force."""
    if place.executable and not file.is_null and not file.may_run:
        return "dangling" if file.status is None else "not executable"
    if not place.layered:
        return "dangling" if file.status is None else ""
    winner = first.setdefault(f"{home.path if home is not None else ''}//{file.name}", file)
    if winner is not file:
        return f"masked by {winner.path}" if winner.is_null else f"replaced by {winner.path}"
    if file.is_null:
        return "mask"
    return "dangling" if file.status is None else ""


def _files(system: System, place: Place) -> Iterator[tuple[File, Home | None]]:
    for spot in place.spots:
        for pattern, home in _patterns(system, spot):
            if system.expired():
                system.tally.skip(coverage.TIME, pattern)
                return
            for path in expand(system, pattern):
                if spot.reach is Reach.FILE:
                    file = system.at(path)
                    if file is not None and not file.is_directory:
                        yield file, home
                else:
                    depth = MAX_DEPTH if spot.reach is Reach.BELOW else 0
                    for inner in below(system, path, depth):
                        yield inner, home


def _patterns(system: System, spot: Spot) -> Iterator[tuple[str, Home | None]]:
    if spot.pattern.startswith("~"):
        first = spot.pattern.split("/", 2)[1]
        is_wild = bool(set(first) & WILD)
        for home in system.homes:
            folder = system.folder(home.path)
            if is_wild or folder is None or first in folder.names:
                yield f"{home.path}{spot.pattern[1:]}", home
    elif spot.pattern.startswith(RUNTIME):
        for uid in system.names(RUNTIME.rstrip("/*")):
            name = system.user_name(int(uid)) if uid.isdecimal() and len(uid) < MAX_DIGITS else uid
            path = spot.pattern.replace("*", uid, 1)
            yield path, Home(f"/run/user/{uid}", name)
    else:
        yield spot.pattern, None


def expand(system: System, pattern: str) -> list[str]:
    """The paths that a pattern may stand for; without wildcards itself, there or not."""
    paths = [""]
    for part in pattern.strip("/").split("/"):
        if set(part) & WILD:
            paths = [f"{path}/{name}" for path in paths for name in fnmatch.filter(system.names(path or "/"), part)]
        else:
            paths = [f"{path}/{part}" for path in paths]
    return paths


def below(system: System, path: str, depth: int) -> Iterator[File]:
    """The entries of a directory; directories come too, and what is in them down to ``depth``, unless that is 0."""
    folder = system.folder(path)
    if folder is None:
        return
    for name in sorted(folder.names):
        file = system.inside(folder, name)
        yield file
        if file.is_directory and not file.link:
            if depth > 1:
                yield from below(system, file.path, depth - 1)
            elif depth:
                system.tally.skip(TOO_DEEP, file.path)
