"""How paths are named in answers: JSON is Unicode, Linux paths are bytes.

A path that is not valid UTF-8 is shown with one U+FFFD for each undecodable byte, as the original does; because that
is not its name, its row also carries ``uri``, a ``file:`` URI (RFC 8089) from which the exact bytes can be had.
"""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile("[\udc80-\udcff]")


class PathText:
    """A path that becomes text only when somebody looks: most paths of a walk are never shown."""

    __slots__ = ("_name", "_parent")

    def __init__(self, parent: str, name: str = "") -> None:
        """A path, or a ``name`` in the directory ``parent``; both as :func:`os.fsdecode` gives them."""
        self._parent = parent
        self._name = name

    @property
    def native(self) -> str:
        """As :func:`os.fsdecode` gives it."""
        return join(self._parent, self._name)

    def __str__(self) -> str:
        return shown(self.native)


def join(parent: str, name: str) -> str:
    """``name`` in the directory ``parent``, which is the process's own when empty; the directory without a name."""
    return f"{parent}/{name}" if parent and name and parent[-1] != "/" else parent + name


def shown(native: str) -> str:
    """The text of a path in an answer."""
    return native if native.isascii() else text_of(os.fsencode(native))


def text_of(raw: bytes) -> str:
    """``raw`` as text; each byte that is not part of a valid UTF-8 sequence becomes one U+FFFD."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _ESCAPED.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def exact_uri(native: str) -> str:
    """The ``file:`` URI of a path whose shown text is not its exact name; empty when it is."""
    raw = os.fsencode(native)
    try:
        raw.decode()
    except UnicodeDecodeError:
        from urllib.parse import quote_from_bytes  # seldom, and a millisecond and a half

        return "file://" + quote_from_bytes(os.path.abspath(raw))
    return ""
