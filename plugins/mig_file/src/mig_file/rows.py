"""Hits as the rows of a result, in the original's form.

Row: ``{"file", "search", "fileinfo": {"size", "mode", "lastmodified"[, "sha256"]}}``, and ``uri`` where the path's text
is not its exact name. ``search`` echoes what was asked: all of it with ``matchall``, else the one filter that hit.
"""

from __future__ import annotations

import functools
import json
import os.path
from typing import TYPE_CHECKING

from mig_file import expressions, naming
from mig_file.search import FILTERS
from mig_file.timetext import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.domain.document import JSON
    from mig_file.checks import Hit, Slot
    from mig_file.search import Search


def elements(slots: Iterable[Slot], *, final: bool) -> list[JSON]:
    """The rows of one search: at least one for each slot, an empty one where nothing was found.

    ``final`` takes the hits out of their slots while it makes their rows, so that a large answer is not held twice.
    """
    found: list[JSON] = []
    for slot in slots:
        if not slot.hits:
            found.append({"file": "", "search": _echo(slot, slot.search.paths), "fileinfo": _NOTHING.copy()})
            continue
        whole = _echo(slot, slot.search.paths) if not slot.key else None
        for hit in _taken(slot.hits) if final else slot.hits:
            text = naming.shown(hit.path)
            echo = whole if whole is not None else _echo(slot, (os.path.dirname(text),))
            row: dict[str, JSON] = {"file": text, "search": echo, "fileinfo": _fileinfo(hit)}
            if not hit.path.isascii() and (uri := naming.exact_uri(hit.path)):
                row["uri"] = uri
            found.append(row)
    return found


def _taken(hits: list[Hit]) -> Iterator[Hit]:
    hits.reverse()
    while hits:
        yield hits.pop()


def row_bytes(slot: Slot) -> int:
    """About how long a row of the slot is as JSON, without its path."""
    return 140 + len(json.dumps(_echo(slot, slot.search.paths)))


_NOTHING: dict[str, JSON] = {"size": 0, "mode": "", "lastmodified": ""}


def _fileinfo(hit: Hit) -> dict[str, JSON]:
    info: dict[str, JSON] = {
        "size": hit.size,
        "mode": _mode_text(hit.mode),
        "lastmodified": time_text(hit.modified),
    }
    if hit.sha256:
        info["sha256"] = hit.sha256
    return info


_mode_text = functools.lru_cache(maxsize=256)(expressions.mode_text)


def _echo(slot: Slot, paths: Iterable[str]) -> JSON:
    shown: list[JSON] = [naming.shown(path) for path in paths]
    if slot.key:
        return {"paths": shown, slot.key: [slot.value], "options": _options(None)}
    echo: dict[str, JSON] = {"description": slot.search.description} if slot.search.description else {}
    echo["paths"] = shown
    echo.update({key: list(slot.search.filters[key]) for key in FILTERS if slot.search.filters[key]})
    echo["options"] = _options(slot.search)
    return echo


def _options(search: Search | None) -> JSON:
    """The options of a row: limits are always 0 in it, and all of them without ``matchall``."""
    options = search.options if search is not None else None
    echo: dict[str, JSON] = {
        "maxdepth": 0,
        "maxerrors": 0,
        "matchall": options is not None and options.matchall,
        "macroal": options is not None and options.macroal,
        "mismatch": list(options.mismatch) if options is not None and options.mismatch else None,
        "matchlimit": 0,
    }
    for word in ("remotefs", "debug", "returnsha256", "decompress", "decompressall", "onefilesystem", "localonly"):
        if options is not None and (value := getattr(options, word)):
            echo[word] = value
    return echo


def masked(found: JSON) -> JSON:
    """The rows without names: of files, and of the directories they lie in."""
    if not isinstance(found, dict):
        return found
    return {label: [_masked_row(row) for row in one] if isinstance(one, list) else one for label, one in found.items()}


def _masked_row(row: JSON) -> JSON:
    if not isinstance(row, dict) or not row.get("file"):
        return row
    kept: dict[str, JSON] = {key: value for key, value in row.items() if key != "uri"} | {"file": "masked"}
    search = kept.get("search")
    options = search.get("options") if isinstance(search, dict) else None
    if isinstance(search, dict) and not (isinstance(options, dict) and options.get("matchall")):
        kept["search"] = search | {"paths": ["masked"]}
    return kept
