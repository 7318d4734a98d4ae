"""What a file is: by its name for files of entries, by its content for keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.ssh import authorized
from mig_endpoint.ssh.blob import NotAKey
from mig_endpoint.ssh.line import KIND, line_key
from mig_sshkey import private, public, putty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.ssh.blob import Found

MAX_FILE = 1 << 20
"""Larger files are looked at only if their name says that they hold entries."""
MAX_ENTRIES_FILE = 16 << 20
_AUTHORIZED = re.compile(r"(?:ssh\.)?authorized_keys2?(?:[._-].*)?")
_KNOWN = re.compile(r"(?:ssh_)?known_hosts2?(?:[._-].*)?")
_HINTS = (b"PRIVATE KEY-----", b"BEGIN SSH2", putty.MAGIC, b"PUBLIC KEY-----")
_LINE = re.compile(rb"(?:^|[ \t])" + KIND.pattern + rb"[ \t]+AAAA", re.MULTILINE)
_BLOBS = (b" AAAA", b"\tAAAA")
"""What every line of a key has, and few other files: texts are found twenty times as fast as expressions."""


def has_entries(name: str) -> bool:
    """Whether a file of this name holds entries, one a line."""
    return bool(_AUTHORIZED.fullmatch(name) or _KNOWN.fullmatch(name))


def is_candidate(content: bytes) -> bool:
    """Whether there may be a key in it."""
    if any(hint in content for hint in _HINTS):
        return True
    return any(blob in content for blob in _BLOBS) and _LINE.search(content) is not None


def keys_in(name: str, content: bytes) -> Iterator[Found | NotAKey]:
    """The keys in a file; what looks like one and is damaged as what is wrong with it."""
    if _AUTHORIZED.fullmatch(name):
        yield from authorized.authorized_keys(content)
        return
    if _KNOWN.fullmatch(name):
        yield from authorized.known_hosts(content)
        return
    if content.startswith(putty.MAGIC):
        try:
            yield putty.key(content)
        except NotAKey as problem:
            yield problem
        return
    yield from private.keys(content)
    yield from public.blocks(content)
    for place, line in authorized.lines(content):
        try:
            found = line_key(line, place) or authorized.entry_elsewhere(line, place)
        except NotAKey as problem:
            yield NotAKey(f"line {place}: {problem}")
            continue
        if found is not None:
            yield found
