r"""RE2 patterns moved from lines to whole buffers.

The original matches each line on its own. One search over a whole buffer gives the same verdict if ``^ $ \A \z`` stand
for line ends, so :func:`for_lines` rewrites a pattern to that. :func:`filter_for_lines` lets the parts match that an
undecodable byte can satisfy, because Go reads such a byte as one U+FFFD and RE2 does not. Only for patterns RE2 has
accepted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.regex.tokens import Kind, Token, flags_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE_ENDS = frozenset({"$", "\\z"})


def refused_by_go(pattern: str) -> str:
    r"""What RE2 takes and the original's language does not (``\C``, ``(?<name>``); empty if nothing."""
    for token in tokens(pattern):
        if token.kind is Kind.ESCAPE and token.text == "\\C":
            return r"\C is not supported: it would match half a character"
        if token.kind is Kind.GROUP and token.text.startswith("(?<"):
            return "(?<name>…) is not supported: write (?P<name>…)"
    return ""


def for_lines(pattern: str) -> str:
    r"""The pattern for RE2 with ``never_nl`` on a buffer of whole lines, its last newline removed.

    It is found there exactly if the given pattern is found in one of the lines.
    """
    return "(?m)" + "".join(_in_lines(token) for token in tokens(pattern))


def for_lines_as_read(pattern: str) -> str | None:
    r"""Like :func:`for_lines`, for lines that may still end in ``\r\n``: found wherever the pattern is found without.

    It may be found elsewhere too, because of the ``\r``. None where that cannot be said: ``$`` in the middle.
    """
    parts = list(tokens(pattern))
    places = [place for place, token in enumerate(parts) if token.kind is not Kind.CLASS and token.text in _LINE_ENDS]
    if not places:
        return for_lines(pattern)
    if places != [len(parts) - 1]:
        return None
    return "(?m)" + "".join(map(_in_lines, parts[:-1])) + r"\r?$"


def filter_for_lines(pattern: str, is_wildcard: Callable[[Token], bool]) -> str:
    r"""Like :func:`for_lines`, found in every buffer of which a line matches when undecodable bytes count as U+FFFD.

    It may be found elsewhere too. ``is_wildcard`` says which tokens can match U+FFFD; each may then be any one byte.
    """
    return "(?m)" + "".join(
        rf"(?:{token.text}|\C)" if is_wildcard(token) else _in_lines(token) for token in tokens(pattern)
    )


def may_match_any_length(pattern: str) -> bool:
    """Whether a match may be longer than any window: the pattern has ``*``, ``+`` or ``{n,}`` outside classes."""
    characters = "".join(token.text if token.kind is Kind.CHARACTER else "x" for token in tokens(pattern))
    return re.search(r"[*+]|\{[0-9]+,\}", characters) is not None


def _in_lines(token: Token) -> str:
    if token.kind is Kind.ESCAPE:
        return {"\\A": "^", "\\z": "$"}.get(token.text, token.text)
    if token.kind is Kind.GROUP and not token.text.startswith(("(?P<", "(?<")):
        added, removed = (flags.replace("m", "") for flags in flags_of(token))
        # without flags left this is "(?)" or "(?:", and RE2 takes both
        return f"(?{added}{'-' + removed if removed else ''}{token.text[-1]}"
    return token.text
