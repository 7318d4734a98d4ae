"""A search as typed values: what one labelled object of the parameters asks.

Made by :func:`read_searches` from checked values; ``evaluation`` works it, ``rows`` echoes it.
"""

from __future__ import annotations

import math
import os.path
from typing import TYPE_CHECKING

from mig_core.errors import ParameterError
from mig_core.records import dataclass
from mig_endpoint.finding import known
from mig_endpoint.finding.declaration import PARAMETERS

if TYPE_CHECKING:
    from mig_core.plugin.parameters import Values

WORDS = {
    "contents": "content",
    "names": "name",
    "sizes": "size",
    "modes": "mode",
    "mtimes": "mtime",
    "md5": "md5",
    "sha1": "sha1",
    "sha2": "sha2",
    "sha3": "sha3",
    "types": "type",
    "ctimes": "ctime",
    "btimes": "btime",
    "owners": "owner",
    "groups": "group",
    "xattrs": "xattr",
    "capabilities": "capability",
    "hashes": "hashes",
}
"""JSON key of a filter -> its word on the command line and in ``mismatch``, in the order in which results list them."""
FILTERS = tuple(WORDS)
ORIGINAL_FILTERS = FILTERS[:9]
"""Those that the original has."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one search, as declared."""

    maxdepth: int
    maxerrors: int
    matchlimit: int
    matchall: bool
    macroal: bool
    mismatch: tuple[str, ...]
    returnsha256: bool
    decompress: bool
    decompressall: bool
    archives: bool
    onefilesystem: bool
    localonly: bool
    remotefs: bool
    debug: str


@dataclass(frozen=True, slots=True)
class Search:
    """One search. ``filters`` has the values of each filter by its JSON key, hashes in upper case."""

    label: str
    description: str
    paths: tuple[str, ...]
    filters: dict[str, tuple[str, ...]]
    options: Options
    as_original: bool = False
    """Asked through the original's interface (``mig-agent -m``), whose answers are known: see ``checks``."""

    @property
    def has_filters(self) -> bool:
        """Whether there is anything a file could pass."""
        return any(self.filters.values())


def read_searches(raw: object, *, strict: bool) -> tuple[Search, ...]:
    """The searches of an operation, in the order of the JSON.

    Raises:
        ParameterError: names the JSON path. ``strict`` also refuses unknown keys, fractions, and a search without any
            filter, which could find nothing.
    """
    labelled = PARAMETERS.parse_labelled(raw if strict else _without_fractions(raw), strict=strict)
    searches = tuple(search_of(label, values, as_original=not strict) for label, values in labelled.items())
    for one in searches:
        if strict and not one.has_filters:
            raise ParameterError(
                f"searches.{one.label}",
                "has no filter, so nothing can match",
                next_step="give at least one of " + ", ".join(WORDS.values()) + "; name '.' matches every file",
            )
        if strict:
            refuse_unanswerable(one, f"searches.{one.label}.options.archives")
    return searches


def said(key: str, values: tuple[str, ...]) -> list[str]:
    """The values of a filter as a row repeats them: of lists of hashes only how long they are."""
    if key != "hashes" or not values:
        return list(values)
    return [f"{len(known.known_of(values).digests)} hashes"]


MEMBER_FILTERS = ("names", "sizes", "modes", "mtimes", "types")
"""Those that members of archives can pass."""


def _not_of_members(search: Search) -> str:
    """The filters of a search that no member of an archive can pass."""
    return ", ".join(WORDS[key] for key in FILTERS if search.filters[key] and key not in MEMBER_FILTERS)


def clean_path(path: str) -> str:
    """The path without ``.``, ``..``, doubled and trailing slashes."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def refuse_unanswerable(search: Search, path: str) -> None:
    """Refuses a search for members of archives by what archives do not say of them. ``path``: of the option.

    Raises:
        ParameterError: it is one.
    """
    if search.options.archives and search.options.matchall and (told := _not_of_members(search)):
        raise ParameterError(
            path,
            f"archives do not say {told} of their members, so no member can match",
            next_step="ask without " + told + ", or without archives",
        )


def search_of(label: str, values: Values, *, as_original: bool = False) -> Search:
    """A search of checked values."""
    filters = {key: values.texts(WORDS[key]) for key in FILTERS}
    for key in ("md5", "sha1", "sha2", "sha3"):
        filters[key] = tuple(value.upper() for value in filters[key])
    options = Options(
        maxdepth=values.integer("maxdepth"),
        maxerrors=values.integer("maxerrors"),
        matchlimit=values.integer("matchlimit"),
        matchall=values.boolean("matchall"),
        macroal=values.boolean("macroal"),
        mismatch=values.texts("mismatch"),
        returnsha256=values.boolean("returnsha256"),
        decompress=values.boolean("decompress"),
        decompressall=values.boolean("decompressall"),
        archives=values.boolean("archives"),
        onefilesystem=values.boolean("onefilesystem"),
        localonly=values.boolean("localonly"),
        remotefs=values.boolean("remotefs"),
        debug=values.text("debug"),
    )
    paths = tuple(clean_path(path) for path in values.texts("path"))
    return Search(label, values.text("description"), paths, filters, options, as_original)


_LIMITS = ("maxdepth", "maxerrors", "matchlimit")
_OPTIONS_DEPTH = 4
"""How deep the limits lie: searches, label, options, limit."""


def _without_fractions(raw: object, depth: int = _OPTIONS_DEPTH) -> object:
    """The original read limits as floating point and cut them: 2.5 is 2, and a negative one is no limit."""
    if not isinstance(raw, dict) or depth == 0:
        return raw
    return {
        key: _whole(value) if str(key).casefold() in _LIMITS and depth == 1 else _without_fractions(value, depth - 1)
        for key, value in raw.items()
    }


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return value
    return int(min(max(value, 0), 1 << 53))
