"""Regular expressions with the original's meaning: RE2 syntax, linear time. The only file that imports google-re2.

There is no google-re2 for musl (Alpine). Without it plain texts, anchored or not, mean the same as ever; all else is
refused by name, because another library would mean something else by it, or take for ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = re.compile(r"(\^?)((?:[A-Za-z0-9_ :@~,/=%\"'!<>&#;-]|\\[!-/:-@\[-^`{-~])*)(\$?)")
"""Characters that stand for themselves, and ASCII punctuation behind a backslash."""
_ESCAPED = re.compile(r"\\(.)")


def compile_pattern(text: str) -> Callable[[str], bool]:
    """What says whether the regular expression is found anywhere in a text.

    Raises:
        ValueError: it is not a regular expression, or needs a library that is not here.
    """
    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError
    try:
        import re2
    except ImportError:
        return _plain(text)
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    try:
        search = re2.compile(text, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        problem = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{text!r:.200} is not a regular expression: {problem}") from None
    return lambda subject: search(subject.encode()) is not None  # given a str it would keep books of its offsets


def _plain(text: str) -> Callable[[str], bool]:
    """The same for a plain text, with ``^`` and ``$`` at its ends.

    Raises:
        ValueError: it is more than that.
    """
    found = _PLAIN.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r:.200} needs the library google-re2, which is not installed here: "
            "without it only plain texts, and ^ and $ around them, can be looked for"
        )
    begins, plain, ends = found[1], _ESCAPED.sub(r"\1", found[2]), found[3]
    if begins and ends:
        return lambda subject: subject == plain
    if begins:
        return lambda subject: subject.startswith(plain)
    if ends:
        return lambda subject: subject.endswith(plain)
    return lambda subject: plain in subject
