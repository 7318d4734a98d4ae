"""Text from elsewhere, made safe to show: the two ways in which control characters are escaped.

Names, reasons and complaints come from endpoints, relays, networks and files. In a log or an answer they must stay one
line (:func:`printable`); on a person's terminal nothing in them may be obeyed or deceive the eye (:func:`visible`).
The lowest file of all, because errors need it.
"""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(line: str) -> str:
    """``line`` with control characters and line breaks as ``\\x0a``.

    A name from an endpoint must not forge another line or drive the terminal. The form is the one that readers of the
    original's lines expect; all other characters stay.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", line)


def visible(text: str) -> str:
    """``text`` with all that has no shape of its own escaped: control characters, line breaks, bidirectional marks, odd
    blanks, halves of surrogate pairs. What :func:`printable` has escaped stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def excerpt(text: str, length: int = 200) -> str:
    """At most ``length`` visible characters of ``text``, which may be large; an ellipsis says that there was more."""
    shown = visible(text[: length + 1].strip())
    return shown if len(shown) <= length and len(text) <= length else f"{shown[: length - 1]}…"
