"""The entries of ``places.toml``, read. Its head says what the fields mean."""

from __future__ import annotations

import re
import tomllib
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

from mig_core.errors import PluginError
from mig_core.records import dataclass

LIST = "places.toml"


class Reach(Enum):
    """How much a path of a place stands for."""

    FILE = "file"
    ENTRIES = "entries"
    """The entries of a directory, not what is in its directories."""
    BELOW = "below"
    """Everything below a directory."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A path of a place: absolute, or with ``~`` for every account's home, perhaps with wildcards."""

    pattern: str
    """Without a slash at its end."""
    reach: Reach


@dataclass(frozen=True, slots=True)
class Place:
    """Where one kind of thing that starts by itself is defined."""

    name: str
    kind: str
    reader: str
    spots: tuple[Spot, ...]
    """The first to win first."""
    source: str
    names: re.Pattern[str] | None = None
    """File names in force, where not all are; for :meth:`re.Pattern.fullmatch`."""
    executable: bool = False
    """Whether only files that may be executed are in force."""
    layered: bool = False
    """Whether a file of the same name in an earlier spot replaces the one in a later."""
    runs_as: str = ""
    when: str = ""

    def in_force(self, name: str) -> bool:
        """Whether a file of this name counts, as far as its name decides."""
        return self.names is None or self.names.fullmatch(name) is not None


@cache
def all_places() -> tuple[Place, ...]:
    """The whole list, in its order."""
    text = files("mig_endpoint.places").joinpath(LIST).read_text(encoding="utf-8")
    return tuple(_place(entry) for entry in tomllib.loads(text)["place"])


_FIELDS = frozenset(
    {"name", "kind", "reader", "paths", "names", "executable", "layered", "as", "when", "source"},
)


def _place(entry: dict[str, Any]) -> Place:
    if unknown := entry.keys() - _FIELDS:
        raise PluginError(LIST, f"{entry.get('name')}: unknown field {', '.join(sorted(unknown))}")
    names = entry.get("names")
    return Place(
        name=entry["name"],
        kind=entry["kind"],
        reader=entry["reader"],
        spots=tuple(_spot(path) for path in entry["paths"]),
        source=entry["source"],
        names=re.compile(names, re.DOTALL) if names else None,
        executable=entry.get("executable", False),
        layered=entry.get("layered", False),
        runs_as=entry.get("as", ""),
        when=entry.get("when", ""),
    )


def _spot(path: str) -> Spot:
    if path.endswith("/**"):
        return Spot(path.removesuffix("/**"), Reach.BELOW)
    if path.endswith("/"):
        return Spot(path.removesuffix("/"), Reach.ENTRIES)
    return Spot(path, Reach.FILE)
