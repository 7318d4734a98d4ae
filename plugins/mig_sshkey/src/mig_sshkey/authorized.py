"""Lines of ``authorized_keys`` and ``known_hosts`` (sshd(8)), read as sshd reads them.

Blanks and tabs in front do not matter; options come before the key's kind, with blanks only inside quotes; a line that
sshd would not understand lets nobody in, and is said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_sshkey.blob import Found, NotAKey
from mig_sshkey.public import KIND, line_key

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS = re.compile(rb'((?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+(.*)', re.DOTALL)
_HOSTS = re.compile(rb"(?:(@cert-authority|@revoked)[ \t]+)?(\S+)[ \t]+(.*)", re.DOTALL)


def authorized_keys(content: bytes) -> Iterator[Found | NotAKey]:
    """An entry for each line that is no comment."""
    for place, line in _lines(content):
        options, rest = b"", line
        if not KIND.match(line) and (parts := _OPTIONS.fullmatch(line)):
            options, rest = parts.groups()
        yield _entry(rest, place, "authorizedkeys", options=options.decode("utf-8", "replace"))


def known_hosts(content: bytes) -> Iterator[Found | NotAKey]:
    """An entry for each line that is no comment."""
    for place, line in _lines(content):
        parts = _HOSTS.fullmatch(line)
        if parts is None:
            yield NotAKey(f"line {place}: not a known host")
            continue
        marker = (parts[1] or b"").decode()
        yield _entry(parts[3], place, "knownhosts", options=marker, hosts=parts[2].decode("utf-8", "replace"))


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for place, line in enumerate(content.split(b"\n"), 1):
        stripped = line.strip(b" \t\r")
        if stripped and not stripped.startswith(b"#"):
            yield place, stripped


def _entry(rest: bytes, place: int, kind: str, *, options: str, hosts: str = "") -> Found | NotAKey:
    try:
        key = line_key(rest, place)
    except NotAKey as problem:
        return NotAKey(f"line {place}: {problem}")
    if key is None:
        return NotAKey(f"line {place}: not a key")
    return Found(kind, key.blob, comment=key.comment, format="openssh", options=options, hosts=hosts, line=place)
