"""What a project that Yarn installed by Plug'n'Play has: no ``node_modules``, but ``.pnp.cjs`` and zip files.

``.pnp.cjs`` (yarnpkg.com/advanced/pnp-spec) is a program with JSON in it, or beside it (``.pnp.data.json``), that says
of each package where it lies: unpacked, or in a zip file of the project's cache or the account's. Yarn 4 has the JSON
in a string of its own, Yarn 3 in one that is parsed at once, Yarn 2 as it is. Used by ``npm_packages``.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, cast

from mig_pkg import loose_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON
    from mig_endpoint.packages.folder import Folder
    from mig_endpoint.packages.search import Search
    from mig_pkg.package import Package

STATES = (".pnp.cjs", ".pnp.js")
"""Yarn 2.1 and newer, and older ones."""
DATA = ".pnp.data.json"
MAX_STATE = 64 << 20
MAX_DESCRIPTION = 1 << 20
_STRING = re.compile(r"""(?:RAW_RUNTIME_STATE\s*=|hydrateRuntimeState\(JSON\.parse\()\s*(['"`])""")
_OBJECT = re.compile(r"return hydrateRuntimeState\((?=\{)")
_UNTIL = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*+", re.DOTALL) for quote in "'\"`"}
_VIRTUAL = re.compile(r"/(?:__virtual__|\$\$virtual)/[^/]+/([0-9]{1,2})/")
"""A package that is installed several times for different peers: its path, and how many directories up it really is."""
_ESCAPED = re.compile(r"\\(\r?\n|.)", re.DOTALL)


def packages(
    search: Search[Package], folder: Folder, understand: Callable[[bytes, str], Package | None]
) -> Iterator[Package]:
    """The packages of the project in this directory; ``understand`` reads a ``package.json``."""
    file = next(one for one in (DATA, *STATES) if one in folder.names)
    raw = search.content(folder, file, MAX_STATE)
    path, _ = folder.inner(file)
    if raw is None:
        return
    state = _state(raw, is_data=file == DATA)
    registry = state.get("packageRegistryData") if isinstance(state, dict) else None
    if not isinstance(registry, list):
        yield from search.give(None, path)
        return
    for place in _places(registry):
        where = _VIRTUAL.sub(lambda found: "/" + "../" * int(found[1]), os.path.join(folder.path, place), count=1)
        where = os.path.normpath(where)
        archive, zipped, member = where.partition(".zip/")
        if zipped:
            yield from _zipped(search, f"{archive}.zip", f"{member}/package.json", understand)
        elif (unpacked := search.folder(where)) is not None and "node_modules" in place.split("/"):
            yield from search.read(unpacked, "package.json", MAX_DESCRIPTION, understand)


def _zipped(
    search: Search[Package], path: str, member: str, understand: Callable[[bytes, str], Package | None]
) -> Iterator[Package]:
    described = f"{path}/{member}"
    if not search.is_new(described):
        return
    with search.archive(path) as archive:
        if archive is None:
            return
        try:
            yield from search.give(understand(archive.read(member, MAX_DESCRIPTION), described), described)
        except (KeyError, ValueError, OSError) as error:
            search.failed(described, error)


def _state(raw: bytes, *, is_data: bool) -> JSON:
    """The JSON, understood; None when there is none."""
    text = raw.decode("utf-8", "replace")
    try:
        if not is_data and (begin := _OBJECT.search(text)) is not None:
            return loose_json.loads(text[begin.end() :].partition("{basePath")[0])
        return cast("JSON", json.loads(text if is_data else _string(text)))
    except (ValueError, RecursionError):
        return None


def _string(text: str) -> str:
    """What the string in the program says; empty when there is none."""
    begin = _STRING.search(text)
    written = _UNTIL[begin[1]].match(text, begin.end()) if begin else None
    return _ESCAPED.sub(lambda found: "" if found[1] in ("\n", "\r\n") else found[1], written[0] if written else "")


def _places(registry: list[JSON]) -> Iterator[str]:
    """The ``packageLocation`` of each package, of projects' own workspaces not."""
    for name_and_versions in registry:
        match name_and_versions:
            case [str(), [*versions]]:
                for version in versions:
                    match version:
                        case [str(reference), {"packageLocation": str(place)}] if "workspace:" not in reference:
                            yield place
