"""The counters: what the heartbeat carries, what ``mig dispatch`` is answered, and how a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.printing import entries, mapping, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_dispatch.delivery import Delivery
    from mig_dispatch.receipts import Receipts
    from mig_dispatch.spool import Spool

HEARTBEAT_ERROR = 100
"""Characters of an error in the heartbeat, which has little room."""


def counters(
    spool: Spool,
    receipts: Receipts,
    deliveries: Sequence[Delivery],
    held_by: Sequence[str],
    *,
    longest_error: int = 1000,
) -> dict[str, JSON]:
    """All of them. For each sink, ``received`` = ``delivered`` + ``merged`` + ``unwanted`` + ``dead_lettered`` +
    ``damaged`` + ``dropped`` + ``spooled``.
    """
    return {
        "received": spool.next - 1,
        "spool_bytes": spool.size,
        "spool_max_bytes": spool.max_bytes,
        "spool_full": spool.waiting,
        "held_by": list(held_by),
        "sinks": [_sink(spool, receipts, one, longest_error) for one in deliveries],
    }


def _sink(spool: Spool, receipts: Receipts, delivery: Delivery, longest_error: int) -> dict[str, JSON]:
    receipt = receipts.of(delivery.settings.name)
    end = spool.next
    progress = delivery.progress
    return {
        "name": delivery.settings.name,
        "kind": delivery.settings.kind,
        "received": end - receipt.since,
        "delivered": receipt.delivered,
        "merged": receipt.merged,
        "unwanted": receipt.unwanted,
        "dead_lettered": receipt.dead,
        "damaged": receipt.damaged,
        "dropped": receipt.dropped,
        "spooled": end - receipt.next,
        "oldest": delivery.oldest,
        "refusals": [f"{kind}: {count}" for kind, count in progress.refusals.items()],
        "failures": progress.failures,
        "last_success": progress.last_success,
        "last_error": progress.last_error[:longest_error],
        "last_error_at": progress.last_error_at,
    }


def lines(result: ModuleResult, *, found_only: bool) -> Iterator[str]:
    """An answer as lines. It may come from a hostile endpoint: nothing in it is taken for granted."""
    elements = mapping(result.elements)
    if elements:
        full = ", full: sources wait" if elements.get("spool_full") is True else ""
        holders = ", ".join(one for one in entries(elements.get("held_by")) if isinstance(one, str))
        yield printable(
            f"dispatch: {_count(elements, 'received')} alerts received, spool "
            f"{_megabytes(elements, 'spool_bytes')} of {_megabytes(elements, 'spool_max_bytes')} MB{full}"
            f"{f', held by {holders}' if holders else ''}"
        )
        for sink in entries(elements.get("sinks")):
            if isinstance(sink, dict):
                yield printable(_sink_line(sink))
    if not found_only:
        yield from (printable(error) for error in result.errors)


def _sink_line(sink: Mapping[str, JSON]) -> str:
    lost = "".join(
        f", {_count(sink, why)} {why}" for why in ("merged", "unwanted", "damaged", "dropped") if sink.get(why)
    )
    since = f" since {sink['oldest']}" if sink.get("oldest") and sink.get("spooled") else ""
    line = (
        f"sink {sink.get('name')} ({sink.get('kind')}): {_count(sink, 'delivered')} delivered, "
        f"{_count(sink, 'dead_lettered')} dead-lettered, {_count(sink, 'spooled')} spooled{since}{lost}, "
        f"last success {sink.get('last_success') or 'never'}"
    )
    refusals = [one for one in entries(sink.get("refusals")) if isinstance(one, str)]
    if refusals:
        line += f", refused for {', '.join(refusals)}"
    if sink.get("last_error"):
        line += f", {_count(sink, 'failures')} failures, the last at {sink.get('last_error_at')}: {sink['last_error']}"
    return line


def masked(elements: JSON) -> JSON:
    """The counters without names and words of receivers."""
    if not isinstance(elements, dict) or not isinstance(elements.get("sinks"), list):
        return None
    sinks = elements["sinks"]
    assert isinstance(sinks, list)
    hidden: list[JSON] = [
        {**one, "name": f"sink {place}", "last_error": "masked" if one.get("last_error") else "", "refusals": []}
        for place, one in enumerate(sinks, start=1)
        if isinstance(one, dict)
    ]
    names: dict[str, JSON] = {
        name: f"sink {place}"
        for place, one in enumerate(sinks, start=1)
        if isinstance(one, dict) and isinstance(name := one.get("name"), str)
    }
    return {
        **elements,
        "sinks": hidden,
        "held_by": [names.get(one, "masked") for one in entries(elements.get("held_by")) if isinstance(one, str)],
    }


def _count(values: Mapping[str, JSON], key: str) -> str:
    value = values.get(key)
    return str(value) if isinstance(value, int) else "?"


def _megabytes(values: Mapping[str, JSON], key: str) -> str:
    value = values.get(key)
    return f"{value / (1 << 20):.1f}" if isinstance(value, int) else "?"
