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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEQUENCE = r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
_ESCAPE = re.compile(r"\\(?:[pP]\{[^}]*\}|[pP].|x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|[0-7]{1,3}|.)", re.DOTALL)
_GROUP = re.compile(r"\(\?(?:P?<[^>]*>|[a-zA-Z]*(?:-[a-zA-Z]*)?[:)])")
_MANY = re.compile(r"[*+]|\{[0-9]+,\}")
_FOLDING = re.compile(r"\(\?[a-zA-Z]*i")
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


def tokens(pattern: str) -> Iterator[str]:
    r"""The pattern in pieces: a character, an escape, a class, or the opening of a group with flags or a name.

    ``\Q…\E`` comes as single characters, escaped where they need it.
    """
    position = 0
    while position < len(pattern):
        if pattern.startswith("\\Q", position):
            end = pattern.find("\\E", position + 2)
            end = len(pattern) if end < 0 else end
            yield from (f"\\{one}" if one in _SPECIAL else one for one in pattern[position + 2 : end])
            position = end + 2
            continue
        character = pattern[position]
        found = None
        if character == "\\":
            found = _ESCAPE.match(pattern, position)
        elif character == "(":
            found = _GROUP.match(pattern, position)
        end = found.end() if found else position + 1
        if character == "[":
            end = _end_of_class(pattern, position)
        yield pattern[position:end]
        position = end


def refused_by_go(pattern: str) -> str:
    r"""What RE2 takes and the original's language does not (``\C``, ``(?<name>``); empty if nothing."""
    for piece in tokens(pattern):
        if piece == "\\C":
            return r"\C is not supported: write (?s). for any byte"
        if piece.startswith("(?<"):
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
    pieces = list(tokens(pattern))
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
    found = _ESCAPE.fullmatch(token)
    digits = (found.group(1) or found.group(2)) if found else None
    return int(digits, 16) if digits else None


def _end_of_class(pattern: str, start: int) -> int:
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    if pattern.startswith("]", position):
        position += 1
    while position < len(pattern):
        if pattern.startswith("[:", position) and (end := pattern.find(":]", position)) > 0:
            position = end + 2
        elif pattern[position] == "\\" and (found := _ESCAPE.match(pattern, position)):
            position = found.end()
        elif pattern[position] == "]":
            return position + 1
        else:
            position += 1
    return len(pattern)
