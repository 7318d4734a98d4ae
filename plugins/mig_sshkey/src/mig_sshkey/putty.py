"""PuTTY's private keys, forms 1 to 3: lines of ``Name: value``, the public half readable whatever the encryption.

Source: PuTTY 0.83's documentation, appendix C.
"""

from __future__ import annotations

import re

from mig_endpoint.ssh.blob import Found, NotAKey, decoded

MAGIC = b"PuTTY-User-Key-File-"
_LINES = re.compile(rb"^Public-Lines:[ \t]*([0-9]{1,4})[ \t]*\r?\n", re.MULTILINE)


def key(content: bytes) -> Found:
    """The key in a file that begins with :data:`MAGIC`.

    Raises:
        NotAKey: its public half is not there.
    """
    public = _LINES.search(content)
    if public is None:
        raise NotAKey("damaged")
    rows = content[public.end() :].splitlines()[: int(public[1])]
    encryption = _value(content, b"Encryption")
    return Found(
        "private",
        decoded(b"".join(row.strip() for row in rows)),
        encrypted=None if not encryption else encryption != "none",
        comment=_value(content, b"Comment"),
        format="putty",
    )


def _value(content: bytes, name: bytes) -> str:
    found = re.search(rb"^" + name + rb":[ \t]*(.*?)\r?$", content, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""
