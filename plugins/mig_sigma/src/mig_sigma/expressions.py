"""Regular expressions in linear time, and wildcards as such. The only file of this plugin that imports google-re2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 8 << 20
"""Most bytes for the automaton of one expression."""


def searcher(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """What says whether a text has a match somewhere.

    Raises:
        ValueError: it cannot be evaluated in linear time (a look-around, a back reference), or is no expression.
    """
    import re2

    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = MEMORY
    options.case_sensitive = not ignore_case
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"has a regular expression that RE2 does not take: {text}") from None

    def found(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:  # half of a surrogate pair
            return search(text.encode("utf-8", "replace").decode()) is not None

    return found


def from_glob(text: str) -> str:
    """The expression for a text with wildcards, matching the whole value."""
    import re2

    return "".join(["(?s)^", *(_part(one, re2.escape) for one in glob_parts(text)), r"\z"])


def glob_parts(text: str) -> list[str | bool | None]:
    """The pieces of a text with wildcards: plain text, None for ``*``, True for ``?``."""
    parts: list[str | bool | None] = []
    plain = ""
    escaped = False
    for character in text:
        if escaped or character not in "*?\\":
            plain += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            if plain:
                parts.append(plain)
            plain = ""
            parts.append(None if character == "*" else True)
    if plain:
        parts.append(plain)
    return parts


def _part(part: str | bool | None, escape: Callable[[str], str]) -> str:
    if part is None:
        return ".*"
    return "." if part is True else escape(str(part))
