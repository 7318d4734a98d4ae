"""The text of YARA rules, read as far as is needed to know what a rule asks for. Source: the YARA-X book, "Anatomy of a
rule", and YARA's own grammar.

Only for text that the compiler has accepted; whatever else comes in gives some answer, and never an error. Two who need
it: ``piecewise``, which makes other rules of it, and ``differences``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<regex>/(?:\\.|[^/\\\n])+/[is]*)
    |(?P<pattern>[$\#@!][A-Za-z0-9_]*\*?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>0x[0-9a-fA-F]+|0o[0-7]+|\d+(?:\.\d+|KB|MB)?)
    |(?P<sign>\.\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_HEX = re.compile(r"(?://[^\n]*|/\*.*?\*/|[^}])*\}", re.DOTALL)
_MULTIPLES = {"KB": 1 << 10, "MB": 1 << 20}


class Token(NamedTuple):
    """A word of the text."""

    kind: str
    """``text``, ``regex``, ``hex``, ``pattern``, ``word``, ``number`` or ``sign``."""
    text: str

    @property
    def number(self) -> int:
        """The value of a number; 0 of what is none, or has a fraction."""
        digits, unit = self.text[:-2], _MULTIPLES.get(self.text[-2:], 0)
        try:
            return int(digits) * unit if unit else int(self.text, 0)
        except ValueError:
            return 0


@dataclass(frozen=True, slots=True)
class PatternText:
    """A pattern of a rule."""

    name: str
    """``$a``, or ``$`` for one without a name."""
    value: Token
    modifiers: tuple[str, ...]
    """As they are written: ``wide``, ``xor(1-255)``, ``private``."""

    @property
    def words(self) -> frozenset[str]:
        """The modifiers without what stands in brackets behind them."""
        return frozenset(one.partition("(")[0] for one in self.modifiers)


@dataclass(slots=True)
class RuleText:
    """A rule."""

    name: str
    is_global: bool = False
    patterns: list[PatternText] = field(default_factory=list)
    condition: list[Token] = field(default_factory=list)


@dataclass(slots=True)
class SourceText:
    """All of a source."""

    imports: set[str] = field(default_factory=set)
    rules: list[RuleText] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    """All words in conditions."""


def read(source: str) -> SourceText:
    """The rules of a source, in their order."""
    return _Reader(_tokens(source)).read()


def _tokens(source: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        assert match is not None  # a sign is anything
        position = match.end()
        kind, text = str(match.lastgroup), match.group()
        if kind == "blank":
            continue
        if text == "{" and found and found[-1].text == "=":
            rest = _HEX.match(source, position)
            position = rest.end() if rest is not None else len(source)
            kind, text = "hex", "{" + (rest.group() if rest is not None else "}")
        found.append(Token(kind, text))
    return found


class _Reader:
    """Goes over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    def read(self) -> SourceText:
        found = SourceText()
        is_global = False
        while (token := self._next()) is not None:
            if token.text == "import":
                if (name := self._next()) is not None:
                    found.imports.add(name.text.strip('"'))
            elif token.text == "global":
                is_global = True
            elif token.text == "rule":
                rule = self._rule()
                rule.is_global, is_global = is_global, False
                found.rules.append(rule)
                found.words.update(one.text for one in rule.condition if one.kind == "word")
        return found

    def _next(self) -> Token | None:
        if self._place >= len(self._tokens):
            return None
        self._place += 1
        return self._tokens[self._place - 1]

    def _peek(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place].text if place < len(self._tokens) else ""

    def _is_section(self, name: str) -> bool:
        return self._peek() == name and self._peek(1) == ":"

    def _rule(self) -> RuleText:
        token = self._next()
        rule = RuleText(token.text if token is not None else "")
        while self._peek() not in ("{", ""):  # tags
            self._next()
        self._next()
        while self._peek() and not self._is_section("strings") and not self._is_section("condition"):  # metadata
            self._next()
        if self._is_section("strings"):
            self._place += 2
            while self._peek() and not self._is_section("condition"):
                if (pattern := self._pattern()) is not None:
                    rule.patterns.append(pattern)
        self._place += 2
        depth = 0
        while (token := self._next()) is not None:
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            if depth < 0:
                break
            rule.condition.append(token)
        return rule

    def _pattern(self) -> PatternText | None:
        name = self._next()
        if name is None or name.kind != "pattern" or self._peek() != "=":
            return None
        self._next()
        value = self._next()
        if value is None:
            return None
        modifiers: list[str] = []
        while self._peek() and not self._is_section("condition"):
            token = self._tokens[self._place]
            if token.kind == "pattern":
                break
            self._next()
            if token.text == "(" and modifiers:
                modifiers[-1] += "(" + self._in_brackets()
            else:
                modifiers.append(token.text)
        return PatternText(name.text, value, tuple(modifiers))

    def _in_brackets(self) -> str:
        text = ""
        while (token := self._next()) is not None:
            text += token.text
            if token.text == ")":
                break
        return text
