"""Lines of ``authorized_keys`` and ``known_hosts`` (sshd(8)), read as sshd reads them.

Blanks and tabs in front do not matter; options come before the key's kind, with blanks only inside quotes; a line that
sshd would not understand lets nobody in, and is said.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from mig_endpoint.ssh.blob import Found, NotAKey
from mig_endpoint.ssh.line import KIND, line_key

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 1 << 16
"""Bytes of a line that are understood: a key and its options need a tenth of it."""
_OPTIONS = re.compile(rb'((?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+(.*)', re.DOTALL)
_KEY = re.compile(KIND.pattern + rb"[ \t]+AAAA")
_OPTION = re.compile(
    rb"(?:no-)?(?:agent-forwarding|port-forwarding|pty|user-rc|X11-forwarding|touch-required)\b|restrict\b"
    rb"|cert-authority\b|verify-required\b|(?:command|environment|expiry-time|from|permitlisten|permitopen|principals"
    rb"|tunnel)=",
    re.IGNORECASE,
)
"""The options that sshd(8) has in ``authorized_keys``."""
_HOSTS = re.compile(rb"(?:(@cert-authority|@revoked)[ \t]+)?(\S+)[ \t]+(.*)", re.DOTALL)


def authorized_keys(content: bytes) -> Iterator[Found | NotAKey]:
    """An entry for each line that is no comment."""
    for place, line in lines(content):
        if len(line) > MAX_LINE:
            yield NotAKey(f"line {place}: longer than {MAX_LINE} bytes")
            continue
        options, rest = b"", line
        if not KIND.match(line) and (parts := _OPTIONS.fullmatch(line)):
            options, rest = parts.groups()
        yield _entry(rest, place, "authorizedkeys", options=options.decode("utf-8", "replace"))


def known_hosts(content: bytes) -> Iterator[Found | NotAKey]:
    """An entry for each line that is no comment."""
    for place, line in lines(content):
        parts = _HOSTS.fullmatch(line) if len(line) <= MAX_LINE else None
        if parts is None:
            yield NotAKey(f"line {place}: not a known host")
            continue
        marker = (parts[1] or b"").decode()
        yield _entry(parts[3], place, "knownhosts", options=marker, hosts=parts[2].decode("utf-8", "replace"))


def entry_elsewhere(line: bytes, place: int) -> Found | NotAKey | None:
    """The entry in a line of a file whose name does not tell: options or hosts, then a key; None for anything else.

    ``AuthorizedKeysFile`` may name any file, ``/etc/ssh/authorized_keys/ada`` for example.
    """
    parts = _OPTIONS.fullmatch(line) if len(line) <= MAX_LINE else None
    if parts is None or not _KEY.match(parts[2]):
        return None
    text = parts[1].decode("utf-8", "replace")
    if _OPTION.match(parts[1]):
        return _entry(parts[2], place, "authorizedkeys", options=text)
    return _entry(parts[2], place, "knownhosts", options="", hosts=text)


def lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are neither empty nor comments, by number, without blanks around them."""
    for place, line in enumerate(io.BytesIO(content), 1):
        stripped = line.strip(b" \t\r\n")
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
