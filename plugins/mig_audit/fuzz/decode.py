"""Arbitrary bytes as records, the way the module takes them: datagram, record, assembly, event, JSON.

A target of ``run.py``, which says how to fuzz. The seeds are the recorded streams of ``tests/data``.

An input is one byte, then a record a line: ``1300 audit(1700000000.123:7): arch=c000003e …``. The byte says whether
events carry raw text (bit 0), and how often the last record comes (2 to the power of bits 1 to 3): what makes an event
too long is mostly many of a kind.
"""

from __future__ import annotations

import json
from pathlib import Path

from mig_audit import netlink, size, tables
from mig_audit.accounts import Accounts
from mig_audit.assembly import FIRST_RECORD, Assembly
from mig_audit.event import Events
from mig_audit.receive import SLOT

Record = tuple[int, str]

MEMBERS = {"schema", "type", "time", "serial", "complete", "record_types"}
"""What every event has."""


def seeds() -> list[bytes]:
    """One input for each recorded event."""
    made: dict[str, list[bytes]] = {}
    for path in sorted((Path(__file__).parent.parent / "tests" / "data").glob("*.log")):
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            kind, _msg, text = line.partition(" msg=")
            number = tables.type_numbers()[kind.removeprefix("type=")]
            made.setdefault(text.partition(")")[0], []).append(f"{number} {text}".encode())
    return [b"\1" + b"\n".join(lines) for lines in made.values()]


def check(data: bytes) -> None:
    """Decodes an input.

    Raises:
        AssertionError: something does not hold that the module promises.
    """
    records = _records(data)
    factory = _factory(data)
    lines = _decoded(records, factory)

    assert _decoded(records, factory) == lines, "the same records made another event the second time"
    assert _decoded(records, _factory(data)) == lines, "another factory made another event"
    events = [json.loads(line) for line in lines]
    assert all(events_member in event for event in events for events_member in MEMBERS)
    assert max(map(len, lines), default=0) <= size.MOST
    shown = sum(len(event["record_types"]) for event in events)
    assert shown == sum(1 for record in records if _counts(record)), "a record is not in any event, or in two"


def _records(data: bytes) -> list[Record]:
    """The records as the receiver makes them of datagrams."""
    found = []
    for line in data[1:].split(b"\n"):
        kind, _blank, text = line.partition(b" ")
        number = int(kind) & 0xFFFF if kind.isdigit() and len(kind) < 6 else 1999
        message = netlink.unpack(netlink.pack(number, 0, text)[:SLOT])
        assert message is not None
        found.append((message.type, message.payload.decode("utf-8", "backslashreplace")))
    flags = data[0] if data else 0
    return found + found[-1:] * ((1 << (flags >> 1 & 7)) - 1)


def _factory(data: bytes) -> Events:
    return Events(Accounts(lambda: 0.0), None, include_raw=data[:1] != b"" and bool(data[0] & 1))


def _decoded(records: list[Record], factory: Events) -> list[bytes]:
    """Events as they travel."""
    lines: list[bytes] = []

    def emit(stamp: str, whole: list[Record], complete: bool) -> None:
        event = factory.make(stamp, whole, complete=complete)
        lines.append(json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8"))

    assembly = Assembly(emit, lambda _stamp, _now: None)
    assembly.add(records, 0.0)
    assembly.flush()
    assert not assembly.waiting()
    return lines


def _counts(record: Record) -> bool:
    """Whether a record belongs in an event: not an end, not one of netlink's own messages."""
    kind, text = record
    stamped = text.startswith("audit(") and text.find("):", 6, 64) >= 0
    if kind == netlink.EOE:
        return not stamped
    return (stamped or kind >= FIRST_RECORD) and (kind != netlink.REPLACE or stamped)
