"""A public key or certificate in one line: ``kind base64 comment`` (sshd(8))."""

from __future__ import annotations

import re

from mig_endpoint.ssh.blob import Found, NotAKey, algorithm_of, decoded, is_certificate

KIND = re.compile(rb"(?:ssh-|ecdsa-sha2-|sk-(?:ssh|ecdsa)-)[a-z0-9@.-]+")


def line_key(line: bytes, number_of_line: int) -> Found | None:
    """The key in a line ``kind base64 comment``; None when the line does not begin with a kind of key.

    Raises:
        NotAKey: it does, and what follows is no key of that kind.
    """
    words = line.split(None, 2)
    if len(words) < 2 or not KIND.fullmatch(words[0]):
        return None
    blob = decoded(words[1])
    if algorithm_of(blob).encode() != words[0]:
        raise NotAKey("the word in front does not name the key's kind")
    comment = words[2].decode("utf-8", "replace").strip() if len(words) > 2 else ""
    return Found(
        "certificate" if is_certificate(blob) else "public",
        blob,
        comment=comment,
        format="openssh",
        line=number_of_line,
    )
