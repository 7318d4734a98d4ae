"""Elasticsearch and OpenSearch: their bulk interface, whose answer has a status for each document.

The request's own status says nothing about documents: a bulk of which every document was refused is a 200. Each is
created under the alert's identity, so one that is there already (409) was delivered by an earlier attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.document import dump, load
from mig_core.errors import InvalidDocument
from mig_core.plugin.printing import excerpt
from mig_dispatch.record import shortened
from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.posting import TOO_LARGE, Poster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.document import JSON
    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.sinks.posting import Answer
    from mig_dispatch.targets import BulkTarget

_MAX_ANSWER = 4 << 20
_THERE_ALREADY = 409
_STATE = frozenset(
    {
        *("index_closed_exception", "validation_exception", "invalid_index_name_exception", "cluster_block_exception"),
        *("security_exception", "unavailable_shards_exception", "no_shard_available_action_exception"),
    }
)
"""Errors with status 400 that are about the cluster or our settings, not about the document: tried again."""
_ABOUT_A_PIPELINE = "pipeline with id"


@dataclass(frozen=True, slots=True)
class _Fate:
    """Of one document: taken (both empty), refused for good, or to be tried again."""

    refusal: str = ""
    trouble: str = ""


class BulkSink:
    """Creates one document for each alert. What an attempt settled behind one that has to wait is remembered."""

    def __init__(self, target: BulkTarget, timeout: float, maker: RecordMaker, spool_id: str) -> None:
        self._poster = Poster(target.web, timeout, _MAX_ANSWER)
        self._index = target.index
        self._maker = maker
        self._spool_id = spool_id
        self._known: dict[str, _Fate] = {}

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Posts those not settled yet; a request that is too large is halved, and one document cut."""
        alerts = list(alerts)
        names = [alert.identity(self._spool_id) for alert in alerts]
        self._known = {name: self._known[name] for name in names if name in self._known}
        left = [place for place, name in enumerate(names) if name not in self._known]
        trouble, retry_after = "", 0.0
        size = len(left)
        while left and not trouble:
            group = left[:size]
            answer = self._poster.ask(
                b"".join(self.document(alerts[place]) for place in group), "application/x-ndjson", {}
            )
            if answer.status == TOO_LARGE and len(group) > 1:
                size = len(group) // 2
                continue
            if answer.status == TOO_LARGE and (shorter := shortened(alerts[group[0]])) is not None:
                alerts[group[0]] = shorter
                continue
            for place, fate in zip(group, self._fates(answer, len(group)), strict=True):
                if fate.trouble:
                    trouble, retry_after = trouble or fate.trouble, answer.retry_after
                else:
                    self._known[names[place]] = fate
            left = left[size:]
        settled = next((place for place, name in enumerate(names) if name not in self._known), len(names))
        refused = {place: fate.refusal for place in range(settled) if (fate := self._known.pop(names[place])).refusal}
        return Verdict(settled, refused, trouble, retry_after)

    def document(self, alert: Alert) -> bytes:
        """Two lines: what is to be done, and the record with its time and module."""
        action: JSON = {"create": {"_index": self._index, "_id": alert.identity(self._spool_id)}}
        own = dump({"@timestamp": alert.received or "1970-01-01T00:00:00Z", "module": alert.module})
        return dump(action) + b"\n" + own[:-1] + b"," + self._maker.record(alert)[1:] + b"\n"

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._poster.deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._poster.deadline.interrupt()

    def close(self) -> None:
        """Closes the connection."""
        self._poster.close()

    def _fates(self, answer: Answer, number: int) -> list[_Fate]:
        """What became of each of ``number`` documents."""
        if answer.trouble:
            return [_Fate(trouble=answer.trouble)] * number
        if answer.status == TOO_LARGE:
            return [_Fate(refusal=answer.said)] * number
        if answer.status != 200:  # about the request as a whole: never a reason to give a document up
            return [_Fate(trouble=answer.said)] * number
        items = _items(answer.content)
        if items is None or len(items) != number:
            said = "is no answer of a bulk request" if items is None else f"speaks of {len(items)} documents"
            return [_Fate(trouble=f"HTTP 200 {said}, {number} were sent: {excerpt(answer.content)}")] * number
        return [_judged(one) for one in items]


def _items(content: str) -> list[JSON] | None:
    try:
        value = load(content.encode(), subject="answer", max_bytes=_MAX_ANSWER)
    except InvalidDocument:
        return None
    items = value.get("items") if isinstance(value, dict) else None
    return items if isinstance(items, list) else None


def _judged(item: JSON) -> _Fate:
    """The fate in ``{"create": {"status": 400, "error": {"type": …, "reason": …}}}``."""
    inner = next(iter(item.values()), None) if isinstance(item, dict) else None
    status = inner.get("status") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(status, int):
        return _Fate(trouble=f"an item without status: {excerpt(str(item))}")
    if 200 <= status < 300 or status == _THERE_ALREADY:
        return _Fate()
    error = inner.get("error")
    kind, reason = "", str(error or "")
    if isinstance(error, dict):
        kind, reason = str(error.get("type", "")), str(error.get("reason", ""))
    said = excerpt(f"{kind or 'error'} {status}: {reason}")
    if status == TOO_LARGE or (status == 400 and kind not in _STATE and not reason.startswith(_ABOUT_A_PIPELINE)):
        return _Fate(refusal=said)
    return _Fate(trouble=said)
