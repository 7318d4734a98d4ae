"""The text of one record: ``key=value`` pairs as the kernel and programs write them, taken apart and decoded.

What is not plain ASCII without blanks and quotes the kernel writes in hexadecimal, without quotes
(``audit_log_untrustedstring`` in kernel/audit.c); programs do the same through libaudit. Everything here is total: any
text gives some fields.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_FIELDS = 2000
REMEMBERED = 1000
"""Characters of the longest text whose reading is remembered: long ones would make the memory large."""

# The first condition says that a key begins where a word does: without it, a long word would be read from each letter.
_PAIR = re.compile(r"""(?<![^\s=,'"{}])([^\s=,'"{}]++)=("[^"]*"|'[^']*'|\S*(?: +(?![^\s=]+=)[^\s']+)*)""")
# ``audit_watch_log_rule_change`` and ``audit_mark_log_rule_change`` (kernel/audit_watch.c, audit_fsnotify.c) write no
# blank between the session and what follows.
_GLUED = re.compile(r"(auid=[0-9]+ ses=[0-9]+)(?=op=)")
_AVC = re.compile(r"avc:\s+(denied|granted)\s+\{([^}]*)\}")
_HEX = re.compile(r"(?:[0-9A-F]{2})+")

ENCODED = frozenset(
    {
        "acct", "cgroup", "cmd", "comm", "cwd", "data", "device", "dir", "exe", "file", "grp", "info", "key", "name",
        "new-chardev", "new-disk", "new-fs", "new-net", "new-rng", "new_group", "ocomm", "old-chardev", "old-disk",
        "old-fs", "old-net", "old-rng", "operation", "path", "proctitle", "profile", "root_dir", "sw", "vm", "watch",
    }
)  # fmt: skip
"""Fields that may be written in hexadecimal."""


def text(value: str) -> str | None:
    """A value of an encoded field: without its quotes, or decoded; None for ``(null)`` and ``?``."""
    if value[:1] == '"':
        return value[1:-1] if value[-1:] == '"' and len(value) > 1 else value[1:]
    if value in ("(null)", "?"):
        return None
    return unhex(value)


def unhex(value: str) -> str:
    """A value in hexadecimal as text: UTF-8, with ``\\xNN`` for other bytes; what is not hexadecimal stays."""
    return _known(value) if len(value) <= REMEMBERED else _unhex(value)


def raw(value: str) -> bytes:
    """The bytes of a value, quoted or in hexadecimal."""
    if value[:1] == '"':
        return value.strip('"').encode("utf-8", "surrogateescape")
    if _HEX.fullmatch(value) is None:
        return value.encode("utf-8", "surrogateescape")
    return bytes.fromhex(value)


def pairs(body: str) -> dict[str, str]:
    """The fields of any record's body, values still encoded. A field that comes twice is kept as ``name_2``.

    Also opens ``msg='…'`` of programs' records and the head of an AVC record (``seresult``, ``seperms``).
    """
    found: dict[str, str] = {}
    body = body.strip("\0\n ")
    if (glued := _GLUED.match(body)) is not None:
        body = f"{glued[1]} {body[glued.end() :]}"
    start = body.find("msg='")
    if start >= 0:
        _collect(body[:start], found)
        _collect(body[start + 5 :].rstrip("'"), found)
        return found
    opening = _AVC.search(body)
    if opening is not None:
        found["seresult"], found["seperms"] = opening[1], ",".join(opening[2].split())
        body = body[opening.end() :]
    _collect(body, found)
    return found


def decoded(fields: dict[str, str]) -> dict[str, str | None]:
    """The fields with their values as a person would write them."""
    return {
        key: text(value) if value[:1] == '"' or key.removesuffix("_2") in ENCODED else value.strip("'")
        for key, value in fields.items()
    }


def number(value: str) -> int | str:
    """A decimal number; any other text stays."""
    try:
        return int(value) if value.isascii() and len(value) < 21 else value
    except ValueError:
        return value


def _unhex(value: str) -> str:
    if _HEX.fullmatch(value) is None:
        return value
    return bytes.fromhex(value).decode("utf-8", "backslashreplace")


_known = lru_cache(maxsize=4096)(_unhex)


def _collect(body: str, found: dict[str, str]) -> None:
    for pair in _PAIR.finditer(body):
        key = pair[1]
        if key in found:
            key += "_2"
        found[key] = pair[2]
        if len(found) >= MAX_FIELDS:
            return
