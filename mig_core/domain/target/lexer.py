"""Cuts the text of a target into tokens, in one pass that never looks back.

Also the place that refuses what can never be part of a target (NUL, lone surrogates, double quotes, comments), each
with the spelling that works.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from mig_core.errors import TargetError
from mig_core.records import dataclass


class TokenKind(Enum):
    """What a token is."""

    WORD = auto()
    """A keyword, column, macro, name pattern or dotted key: ``tags.operator``, ``web-*``."""
    STRING = auto()
    NUMBER = auto()
    UUID = auto()
    OPERATOR = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token. ``value`` is the text it stands for: a string without its quotes, everything else as written."""

    kind: TokenKind
    value: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in capitals when it is a word, otherwise empty."""
        return self.value.upper() if self.kind is TokenKind.WORD else ""

    def is_operator(self, *operators: str) -> bool:
        """Whether it is one of these operators."""
        return self.kind is TokenKind.OPERATOR and self.value in operators


_TOKEN = re.compile(
    r"""
      (?P<UUID>     [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12} (?![\w.*?%]) )
    | (?P<NUMBER>   \d+ (?![\w.*?%]|-\w) )
    | (?P<STRING>   '[^']*(?:''[^']*)*' )
    | (?P<OPERATOR> !~\* | !~ | ~\* | ~ | <<= | <= | <> | >= | != | ->> | -> | =(?!=) | <(?!<) | [>(),+] | -(?!-) )
    | (?P<WORD>     [\w*?%] (?: [\w.*?%] | -(?![->]) )* )
    """,
    re.VERBOSE | re.ASCII,
)
_BLANKS = re.compile(r"[ \t\r\n]*")

_INSTEAD = {
    '"': ("a double quote does not start a text", "put texts in single quotes: name = 'web1'"),
    "`": ("a back-tick does not start a text", "put texts in single quotes: name = 'web1'"),
    "\u2018": ("this quote is typographic", "use the straight single quote: '"),
    "\u2019": ("this quote is typographic", "use the straight single quote: '"),
    ";": ("a target is one expression, not statements", "take the semicolon out"),
    "--": ("comments are not part of a target", "take the comment out"),
    "/*": ("comments are not part of a target", "take the comment out"),
    "==": ("== is not an operator", "compare with a single ="),
    "&": ("& is not an operator", "write AND"),
    "|": ("| is not an operator", "write OR"),
    "!": ("! is not an operator", "write NOT, != or !~"),
    "::": ("casts are not part of a target", "columns have fixed types; environment and tags are text"),
    "$": ("$ is not part of a target", "put texts in single quotes: name = 'web1'"),
    "#": ("# is not an operator", "read a key with environment->'a'->>'b' or environment.a.b"),
    "<<": ("<< is not an operator", "write address <<= '10.0.0.0/8'"),
}
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def tokenize(text: str) -> list[Token]:
    """All tokens of ``text``, the last of kind END.

    Raises:
        TargetError: a character that belongs to no token, or a text that does not end.
    """
    unusable = _UNUSABLE.search(text)
    if unusable:
        raise TargetError(
            text,
            unusable.start(),
            f"character U+{ord(unusable.group()):04X} cannot be part of a target",
            next_step="take it out: no agent's name or fact can hold it",
        )
    tokens: list[Token] = []
    position = _skip_blanks(text, 0)
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _not_a_token(text, position)
        kind = TokenKind[found.lastgroup or "END"]
        value = found.group()
        if kind is TokenKind.STRING:
            value = value[1:-1].replace("''", "'")
        tokens.append(Token(kind, value, position, found.end()))
        position = _skip_blanks(text, found.end())
    tokens.append(Token(TokenKind.END, "", len(text), len(text)))
    return tokens


def _skip_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


def _not_a_token(text: str, position: int) -> TargetError:
    if text[position] == "'":
        return TargetError(
            text, position, "this text has no closing quote", next_step="end it with '; write a quote inside it as ''"
        )
    for start in (text[position : position + 2], text[position]):
        if start in _INSTEAD:
            problem, next_step = _INSTEAD[start]
            return TargetError(text, position, problem, next_step=next_step)
    return TargetError(
        text,
        position,
        f"unexpected character {text[position]!r} (U+{ord(text[position]):04X})",
        next_step="names that are not plain ASCII go in quotes: name = '...'",
    )
