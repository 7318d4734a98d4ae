"""Hits as the rows of a result, in the original's form.

Row: ``{"file", "search", "fileinfo": {"size", "mode", "lastmodified"[, "sha256"]}}``, ``target`` with what a link
says, and ``uri`` where the path's text is not its exact name. ``search`` echoes what was asked: all of it with
``matchall``, else the one filter that hit.
"""

from __future__ import annotations

import functools
import itertools
import json
import os.path
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from mig_core.domain.document import Stream
from mig_endpoint.files import naming
from mig_endpoint.finding import expressions
from mig_endpoint.finding.search import FILTERS, said
from mig_file.timetext import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.domain.document import JSON
    from mig_endpoint.files.archives.member import Member
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.finding.hits import AnyStatus, Hit
    from mig_endpoint.finding.search import Search
    from mig_endpoint.finding.slots import Slot


ROWS_AT_ONCE = 256


class Rows(Stream):
    """The rows of one search, each made when somebody looks at it: a large answer is never held as Python objects.

    At least one for each slot, an empty one where nothing was found. Not to be changed. Hits found after it was made
    are not in it.
    """

    def __init__(self, slots: Iterable[Slot], *, masked: bool = False) -> None:
        """``masked``: without names of files, and of the directories they lie in."""
        super().__init__()
        self._slots = tuple((slot, len(slot.hits)) for slot in slots)
        self._masked = masked

    def masked(self) -> Rows:
        """The same rows without names."""
        rows = Rows(())
        rows._slots, rows._masked = self._slots, True
        return rows

    def __len__(self) -> int:
        return sum(max(1, count) for _, count in self._slots)

    def __iter__(self) -> Iterator[JSON]:
        for slot, count in self._slots:
            rows = _rows(slot, count)
            yield from map(_masked_row, rows) if self._masked else rows

    def pieces(self) -> Iterator[str]:
        """The rows as JSON. What all of them repeat is made into text once: that is most of a row."""
        if self._masked:
            yield from super().pieces()
            return
        texts = itertools.chain.from_iterable(_texts(slot, count) for slot, count in self._slots)
        while some := list(itertools.islice(texts, ROWS_AT_ONCE)):
            yield ",".join(some)


def _rows(slot: Slot, count: int) -> Iterator[JSON]:
    if not count:
        yield {"file": "", "search": _echo(slot, slot.search.paths), "fileinfo": _NOTHING.copy()}
        return
    whole = _echo(slot, slot.search.paths) if not slot.key else None
    for hit in slot.hits.first(count):
        yield _row(slot, hit, whole)


def _row(slot: Slot, hit: Hit, whole: JSON) -> JSON:
    """The row of a hit. ``whole``: the whole search, where that is what the rows echo."""
    text = naming.shown(hit.path)
    echo = whole if whole is not None else _echo(slot, (os.path.dirname(text),))
    row: dict[str, JSON] = {"file": text, "search": echo, "fileinfo": _fileinfo(hit)}
    if hit.member:
        row["member"] = naming.shown(hit.member)
    if hit.target:
        row["target"] = naming.shown(hit.target)
    if not hit.path.isascii() and (uri := naming.exact_uri(hit.path)):
        row["uri"] = uri
    return row


def _texts(slot: Slot, count: int) -> Iterator[str]:
    """The same rows as JSON."""
    if not count or slot.key:
        yield from map(_text, _rows(slot, count))
        return
    whole = _echo(slot, slot.search.paths)
    echo = f',"search":{_text(whole)},"fileinfo":'
    for hit in slot.hits.first(count):
        if hit.path.isascii() and not hit.target and not hit.member and not hit.known:
            info = f'{{"size":{hit.size},"mode":"{_mode_text(hit.mode)}","lastmodified":"{time_text(hit.modified)}"'
            digest = f',"sha256":"{hit.sha256}"' if hit.sha256 else ""
            yield f'{{"file":{encode_basestring(hit.path)}{echo}{info}{digest}}}}}'
        else:
            yield _text(_row(slot, hit, whole))


def _text(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def keep(
    slot: Slot,
    path: str,
    batch: Batch,
    name: str,
    status: AnyStatus,
    sha256: str,
    member: Member | None,
    known: str = "",
) -> int:
    """Keeps a hit with its slot: about how long its row is (:class:`mig_endpoint.finding.answer.Keep`)."""
    target = _target(batch, name) if (batch.links or batch.others) and member is None else ""
    inner = member.name if member is not None else ""
    slot.hits.add(path, status, sha256, target, inner, known)
    return _row_bytes(slot) + len(path) + len(inner) + len(known)


def _target(batch: Batch, name: str) -> str:
    """What a link says; empty for everything else."""
    if not batch.is_link(name):
        return ""
    try:
        return batch.target(name)
    except OSError:
        return ""  # it went away; its row says what was seen


_NOTHING: dict[str, JSON] = {"size": 0, "mode": "", "lastmodified": ""}


def _fileinfo(hit: Hit) -> dict[str, JSON]:
    info: dict[str, JSON] = {
        "size": hit.size,
        "mode": _mode_text(hit.mode),
        "lastmodified": time_text(hit.modified),
    }
    if hit.sha256:
        info["sha256"] = hit.sha256
    if hit.known:
        info["hash"] = hit.known.lower()
    return info


_mode_text = functools.lru_cache(maxsize=256)(expressions.mode_text)


def _row_bytes(slot: Slot) -> int:
    """About how long a row of the slot is as JSON, without its path."""
    if not slot.row_bytes:
        slot.row_bytes = 140 + len(json.dumps(_echo(slot, slot.search.paths)))
    return slot.row_bytes


def _echo(slot: Slot, paths: Iterable[str]) -> JSON:
    shown: list[JSON] = [naming.shown(path) for path in paths]
    if slot.key:
        return {"paths": shown, slot.key: [slot.value], "options": _options(None)}
    echo: dict[str, JSON] = {"description": slot.search.description} if slot.search.description else {}
    echo["paths"] = shown
    echo.update({key: [*said(key, slot.search.filters[key])] for key in FILTERS if slot.search.filters[key]})
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
    for word in (
        "remotefs",
        "debug",
        "returnsha256",
        "decompress",
        "decompressall",
        "archives",
        "onefilesystem",
        "localonly",
    ):
        if options is not None and (value := getattr(options, word)):
            echo[word] = value
    return echo


def masked(found: JSON) -> JSON:
    """The rows without names: of files, and of the directories they lie in."""
    if not isinstance(found, dict):
        return found
    return {label: _masked_rows(one) for label, one in found.items()}


def _masked_rows(found: JSON) -> JSON:
    if isinstance(found, Rows):
        return found.masked()
    return [_masked_row(row) for row in found] if isinstance(found, list) else found


def _masked_row(row: JSON) -> JSON:
    if not isinstance(row, dict) or not row.get("file"):
        return row
    kept: dict[str, JSON] = {key: value for key, value in row.items() if key not in ("uri", "target", "member")} | {
        "file": "masked"
    }
    search = kept.get("search")
    options = search.get("options") if isinstance(search, dict) else None
    if isinstance(search, dict) and not (isinstance(options, dict) and options.get("matchall")):
        kept["search"] = search | {"paths": ["masked"]}
    return kept
