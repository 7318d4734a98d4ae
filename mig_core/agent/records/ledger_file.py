"""The ledger's files: how a line is written, how segments follow one another, and how all of it is checked.

The segment that is written to has the ledger's own name; closed ones have their number in it
(``ledger-000001.jsonl``). Each line carries the SHA-256 of the line before and its own. Each segment but the first
begins with a line ``carried``: where the one before ended, signed with the agent's key. So the oldest segments can be
taken away (by the agent, when they pass their bound, or by the owner, to keep them elsewhere), and what is left still
proves itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, cast

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import AgentId
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.identity import verify_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.identity import AgentKey

FIRST = "0" * 64
"""What the first line names as the one before."""
MAX_LINE_BYTES = 1 << 20
CARRIED = "carried"
_DIGITS = 6
_SIGNED = ("n", "time", "segment", "until", "previous")


def segment_path(path: Path, number: int) -> Path:
    """The name of a closed segment."""
    return path.with_name(f"{path.stem}-{number:0{_DIGITS}}{path.suffix}")


def closed_segments(path: Path) -> list[tuple[int, Path]]:
    """Number and name of each closed segment, oldest first."""
    name = re.compile(re.escape(path.stem) + rf"-(\d{{{_DIGITS},}})" + re.escape(path.suffix))
    found = []
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        match = name.fullmatch(other.name)
        if match:
            found.append((int(match[1]), other))
    return sorted(found)


def line_of(entry: dict[str, JSON]) -> bytes:
    """The bytes of an entry, without the newline."""
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def digest_of(entry: dict[str, JSON]) -> str:
    """The hash of an entry that has none yet."""
    return hashlib.sha256(line_of(entry)).hexdigest()


def sign_carried(entry: dict[str, JSON], key: AgentKey) -> dict[str, JSON]:
    """A ``carried`` entry (without its hash) with the agent's id, public key and signature in it."""
    envelope = key.sign(envelopes.LEDGER, _carried_payload(entry))
    signature = base64.b64encode(envelope.signatures[0].sig).decode("ascii")
    return {**entry, "agent": key.agent_id, "publickey": key.public_key.hex(), "signature": signature}


def read_ledger(path: Path, *, newest: int = 0) -> Iterator[dict[str, JSON]]:
    """The entries of all segments, oldest first, each after its place in the chain was checked.

    Args:
        path: the open segment.
        newest: only so many of the newest segments; 0: all.

    Raises:
        InvalidDocument: names the first line that breaks the chain; the lines before it were in order.
        FileNotFoundError: there is no ledger.
        OSError: a file cannot be read.
    """
    files = [file for _, file in closed_segments(path)]
    if path.exists() or not files:
        files.append(path)
    files = files[-newest:]
    previous, number = FIRST, 0
    for index, file in enumerate(files):
        for place, entry in _entries(file):
            fault = ""
            if place == 1 and (index or entry["event"] == CARRIED):
                fault = _carried_fault(entry)
                if not index and not fault:
                    # Where it begins is the agent's own signed word.
                    previous, number = str(entry["previous"]), int(str(entry["n"])) - 1
            number += 1
            fault = fault or _fault(entry, number, previous)
            if fault:
                raise InvalidDocument(
                    str(file),
                    fault,
                    path=f"line {place}",
                    next_step="somebody changed this file; compare it with a backup",
                )
            previous = str(entry["hash"])
            yield entry


def _entries(file: Path) -> Iterator[tuple[int, dict[str, JSON]]]:
    """Each line's number in its file, and the line if it is an entry at all."""
    with file.open("rb") as opened:
        place = 0
        while raw := opened.readline(MAX_LINE_BYTES + 1):
            place += 1
            try:
                entry = cast("dict[str, JSON]", json.loads(raw))
                for key in ("n", "event", "previous", "hash"):
                    entry[key]
                int(str(entry["n"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InvalidDocument(str(file), "is not a ledger entry", path=f"line {place}") from None
            yield place, entry


def _fault(entry: dict[str, JSON], number: int, previous: str) -> str:
    if entry["n"] != number:
        return f"carries the number {entry['n']!r:.20}: lines are missing or were put in before it"
    if entry["previous"] != previous:
        return "does not follow from the line before it"
    if digest_of({key: value for key, value in entry.items() if key != "hash"}) != entry["hash"]:
        return "was changed: its hash does not fit its content"
    return ""


def _carried_fault(entry: dict[str, JSON]) -> str:
    if entry["event"] != CARRIED:
        return "does not say where the segment before ended"
    try:
        signature = Signature(str(entry["agent"]), base64.b64decode(str(entry["signature"]), validate=True))
        signed = Envelope(envelopes.LEDGER, _carried_payload(entry), (signature,))
        if verify_agent(signed, bytes.fromhex(str(entry["publickey"]))) != AgentId(str(entry["agent"])):
            return "is not signed by the agent it names"
    except (KeyError, ValueError, SignatureInvalid):
        return "says where the segment before ended, without the agent's signature"
    return ""


def _carried_payload(entry: dict[str, JSON]) -> bytes:
    return dump({key: entry[key] for key in _SIGNED})
