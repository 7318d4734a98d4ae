r"""RE2 patterns about characters, rewritten to patterns about bytes.

Memory is bytes, with text in it. The original reads it as UTF-8 in which a byte that is part of no character counts as
one unknown character; a person who writes ``\xde\xad`` about memory means bytes. So that both are found, and in one
pass, a pattern is rewritten for RE2's Latin-1 mode (one character is one byte):

* ``.``, ``[^x]``, ``\W`` and the like: one byte, or one UTF-8 sequence;
* a character beyond ASCII: its UTF-8 bytes;
* ``\xde``: the byte 0xde, or U+00DE in UTF-8.

A second form looks for the same characters in UTF-16LE.

Pure functions; ``patterns`` compiles what they give. Only for patterns that RE2 has accepted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_endpoint.regex.tokens import Kind, flags_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_SEQUENCE = r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
_CODE = re.compile(r"\\x(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{2}))")
_MANY = re.compile(r"[*+]|\{[0-9]+,\}")
_REPEAT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_BEYOND_LATIN = r"(?s:.)[\xd8-\xdb](?s:.)[\xdc-\xdf]|(?s:.)[^\x00]"
"""Any character in UTF-16LE but the first 256: two units, or one."""
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
            if _is_beyond_bytes(piece):
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


def for_wide(pattern: str, takes_any_character: Callable[[str], bool]) -> str:
    r"""The pattern for RE2's Latin-1 mode that finds what is meant in UTF-16LE, at even and odd addresses.

    Args:
        pattern: accepted by RE2.
        takes_any_character: as for :func:`for_bytes`.

    Raises:
        ValueError: it has something that cannot be said so: ``\b``, ``(?m)``, a Unicode class, or characters beyond
            ASCII in a class.
    """
    folding = _FOLDING.search(pattern) is not None
    built: list[str] = []
    parts = list(tokens(pattern))
    place = 0
    while place < len(parts):
        token, piece = parts[place], parts[place].text
        place += 1
        if token.kind is Kind.GROUP:
            if "m" in flags_of(token)[0]:
                raise ValueError("(?m) cannot be looked for in UTF-16: leave it out, or leave out wide")
            built.append(piece)
        elif token.kind is Kind.DOT:
            built.append(rf"(?:.\x00|{_BEYOND_LATIN})")
        elif piece == "{" and (repeat := _REPEAT.match("".join(one.text for one in parts[place - 1 : place + 11]))):
            built.append(repeat.group())
            place += len(repeat.group()) - 1
        elif (token.kind is Kind.CHARACTER and piece in "^$|()*+?") or piece in ("\\A", "\\z"):
            built.append(piece)
        else:
            built.append(_wide_character(token.kind, piece, takes_any_character, folding=folding))
    return "".join(built)


def _wide_character(kind: Kind, piece: str, takes_any_character: Callable[[str], bool], *, folding: bool) -> str:
    """One character, or one of a class of them."""
    if piece in ("\\b", "\\B"):
        raise ValueError(f"{piece} cannot be looked for in UTF-16: leave it out, or leave out wide")
    if kind is Kind.CLASS or piece[:2] in ("\\p", "\\P"):
        if piece[0] != "[" or _is_beyond_bytes(piece):
            raise ValueError(f"{piece:.60} cannot be looked for in UTF-16: write the characters as alternatives")
        return rf"(?:{piece}\x00|{_BEYOND_LATIN})" if takes_any_character(piece) else rf"(?:{piece}\x00)"
    if piece in ("\\D", "\\S", "\\W"):
        return rf"(?:{piece}\x00|{_BEYOND_LATIN})"
    code = _code_point(piece)
    if code is None or code <= 0x7F:
        return rf"(?:{piece if len(piece) > 1 else re.escape(piece)}\x00)"
    character = chr(code)
    cases = {character, character.lower(), character.upper()} if folding else {character}
    forms = sorted(one.encode("utf-16-le", "surrogatepass") for one in cases if len(one) == 1)
    return "(?:" + "|".join("".join(f"\\x{byte:02x}" for byte in form) for form in forms) + ")"


def _is_beyond_bytes(token: str) -> bool:
    r"""Whether a class has members that are no single byte; ``\x80`` to ``\xff`` mean bytes in it."""
    rest = re.sub(r"\\x(?:[89a-fA-F][0-9a-fA-F]|\{0*[89a-fA-F]?[0-9a-fA-F]\})", "", token)
    return not token.isascii() or re.search(r"\\[pPx](?!00|[0-7][0-9a-fA-F])", rest) is not None


def _code_point(token: str) -> int | None:
    if len(token) == 1:
        return ord(token)
    found = _CODE.fullmatch(token)
    digits = (found.group(1) or found.group(2)) if found else None
    return int(digits, 16) if digits else None
