r"""RE2 patterns about characters, rewritten to patterns about bytes.

Memory is bytes, with text in it. The original reads it as UTF-8 in which a byte that is part of no character counts as
one unknown character; a person who writes ``\xde\xad`` about memory means bytes. So that both are found, and in one
pass, a pattern is rewritten for RE2's Latin-1 mode (one character is one byte):

* ``.``, ``[^x]``, ``\W`` and the like: one byte, or one UTF-8 sequence;
* a character beyond ASCII: its UTF-8 bytes;
* ``\xde``: the byte 0xde, or U+00DE in UTF-8.

Pure functions; ``patterns`` compiles what they give. Only for patterns that RE2 has accepted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.regex.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_SEQUENCE = r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
_CODE = re.compile(r"\\x(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{2}))")
_MANY = re.compile(r"[*+]|\{[0-9]+,\}")
_FOLDING = re.compile(r"\(\?[a-zA-Z]*i")


def refused_by_go(pattern: str) -> str:
    r"""What RE2 takes and the original's language does not (``\C``, ``(?<name>``); empty if nothing."""
    for token in tokens(pattern):
        if token.text == "\\C":
            return r"\C is not supported: write (?s). for any byte"
        if token.text.startswith("(?<"):
            return "(?<name>…) is not supported: write (?P<name>…)"
    return ""


def is_bounded(pattern: str) -> bool:
    """Whether no match can be longer than the pattern's program; False when in doubt."""
    return _MANY.search(pattern) is None


def for_bytes(pattern: str, takes_any_character: Callable[[str], bool]) -> str | None:
    """The pattern for RE2's Latin-1 mode, written in ASCII; None if it cannot be said in bytes.

    That is so for Unicode classes (``\\pL``), for classes with characters beyond ASCII, and for these together with
    ``(?i)``.

    Args:
        pattern: accepted by RE2 in its UTF-8 mode.
        takes_any_character: whether a token (a class or an escape) accepts characters beyond ASCII in general.
    """
    folding = _FOLDING.search(pattern) is not None
    pieces = [token.text for token in tokens(pattern)]
    built = []
    for index, piece in enumerate(pieces):
        if piece == ".":
            repeated = _MANY.match("".join(pieces[index + 1 : index + 8])) is not None
            built.append("." if repeated else f"(?:.|{_SEQUENCE})")
        elif piece[0] == "[" and len(piece) > 1:
            if not piece.isascii() or re.search(r"\\[pPx](?!00|[0-7][0-9a-fA-F])", _without_high_bytes(piece)):
                return None
            built.append(f"(?:{piece}|{_SEQUENCE})" if takes_any_character(piece) else piece)
        elif piece[:2] in ("\\p", "\\P"):
            return None
        elif piece in ("\\D", "\\S", "\\W"):
            built.append(f"(?:{piece}|{_SEQUENCE})")
        elif (code := _code_point(piece)) is not None and code > 0x7F:
            if folding:
                return None
            as_text = "".join(f"\\x{one:02x}" for one in chr(code).encode("utf-8", "surrogatepass"))
            raw = f"\\x{code:02x}|" if piece[0] == "\\" and code <= 0xFF else ""
            built.append(f"(?:{raw}{as_text})")
        elif not piece.isascii():
            return None
        else:
            built.append(piece)
    return "".join(built)


def _without_high_bytes(token: str) -> str:
    r"""A class without ``\x80`` to ``\xff``, which mean bytes in it."""
    return re.sub(r"\\x(?:[89a-fA-F][0-9a-fA-F]|\{0*[89a-fA-F]?[0-9a-fA-F]\})", "", token)


def _code_point(token: str) -> int | None:
    if len(token) == 1:
        return ord(token)
    found = _CODE.fullmatch(token)
    digits = (found.group(1) or found.group(2)) if found else None
    return int(digits, 16) if digits else None
