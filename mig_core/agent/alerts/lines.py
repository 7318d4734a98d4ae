"""Alerts as lines: how a source, the agent and the sink write and read them without decoding what is inside.

The writers always put the members in the same order, so the readers find the alert by its frame alone; any other
spelling of the same JSON is read the slow way.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.plugin.cutting import fitted
from mig_core.plugin.persistent import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

_HEAD = b'{"class":"alert","id":'
_ALERT = b',"alert":'
_MODULE = b',"module":"'
MAX_ALERT_BYTES = MAX_LINE_BYTES - 512
"""Leaves room for the frame."""


def from_source(identifier: int, raw: bytes) -> bytes:
    """The line of a source."""
    return b'{"class":"alert","id":%d,"alert":%b}\n' % (identifier, raw)


def to_sink(number: int, module: bytes, raw: bytes) -> bytes:
    """The line to the sink; a module's name needs no escaping."""
    return b'{"class":"alert","id":%d,"module":"%b","alert":%b}\n' % (number, module, raw)


def read_source(line: bytes) -> tuple[int, bytes] | None:
    """Id and alert of a source's line (without its end); None when it is no alert, or one in another spelling."""
    if not line.startswith(_HEAD) or not line.endswith(b"}}"):
        return None
    end = line.find(_ALERT, 22, 56)
    digits = line[22:end]
    if end < 0 or not digits.isdigit() or line[end + 9 : end + 10] != b"{":
        return None
    return int(digits), line[end + 9 : -1]


def read_sink(line: bytes) -> tuple[int, str, bytes] | None:
    """Number, module and alert of a line to the sink; None as above."""
    if not line.startswith(_HEAD) or not line.endswith(b"}"):
        return None
    end = line.find(_MODULE, 22, 56)
    digits = line[22:end]
    behind = line.find(b'"' + _ALERT, end + 11, end + 11 + 256)
    if end < 0 or behind < 0 or not digits.isdigit():
        return None
    return int(digits), line[end + 11 : behind].decode("ascii", "replace"), line[behind + 10 : -1]


def encode(alert: Mapping[str, JSON]) -> bytes:
    """An alert as JSON that fits into a line.

    Raises:
        TypeError: it is not JSON.
        ValueError: it holds a number that JSON does not have.
    """
    text = json.dumps(alert, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if text[0] != "{":
        raise TypeError(f"an alert must be an object, got {type(alert).__name__}")
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, from a file name that is no text
        raw = dump(dict(alert))
    return raw if len(raw) <= MAX_ALERT_BYTES else fitted(alert, MAX_ALERT_BYTES)
