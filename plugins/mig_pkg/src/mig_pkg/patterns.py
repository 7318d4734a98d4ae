"""Regular expressions with the original's meaning: RE2 syntax, linear time. The only file that imports google-re2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def compile_pattern(text: str) -> Callable[[str], bool]:
    """What says whether the regular expression is found anywhere in a text.

    Raises:
        ValueError: it is not a regular expression.
    """
    import re2

    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError
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
