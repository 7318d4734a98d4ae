"""Where the parser stands in its tokens, what it may still build, and how it says no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.target.lexer import Token, TokenKind, tokenize
from mig_core.errors import TargetError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.domain.target.names import Vocabulary

MAX_NODES = 500
"""Tests, ANDs, ORs and NOTs of one target, its macros included."""


@dataclass(slots=True)
class Budget:
    """What one target may still use; shared with the macros it names, so that these cannot multiply."""

    nodes: int = MAX_NODES


class Cursor:
    """A position in the tokens of ``text``, which uses the words of ``vocabulary``.

    Raises:
        TargetError: from the constructor, when ``text`` cannot be cut into tokens.
    """

    def __init__(self, text: str, budget: Budget, vocabulary: Vocabulary) -> None:
        self.text = text
        self.vocabulary = vocabulary
        self.tokens = tokenize(text)
        self.budget = budget
        self._index = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self._index]

    @property
    def following(self) -> Token:
        """The one after the next token."""
        return self.tokens[min(self._index + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, and on to the one after it; the end stays."""
        token = self.token
        if token.kind is not TokenKind.END:
            self._index += 1
        return token

    def accept(self, keyword: str) -> bool:
        """Takes this keyword if it comes next."""
        if self.token.keyword == keyword:
            self.take()
            return True
        return False

    def accept_operator(self, *operators: str) -> bool:
        """Takes one of these operators if it comes next."""
        if self.token.is_operator(*operators):
            self.take()
            return True
        return False

    def expect_operator(self, operator: str, problem: str, next_step: str) -> None:
        """Takes this operator, or says ``problem``."""
        if not self.accept_operator(operator):
            raise self.error(self.token, f"{problem}, {found(self.token)}", next_step)

    def spend(self, token: Token, nodes: int = 1) -> None:
        """Counts ``nodes`` of the tree."""
        self.budget.nodes -= nodes
        if self.budget.nodes < 0:
            raise self.error(
                token,
                f"the target has more than {MAX_NODES} tests",
                "write name IN ('a', 'b', ...) in place of many ORs, or ask in several actions",
            )

    def error(self, at: Token | int, problem: str, next_step: str) -> TargetError:
        """The error to raise, at a token or a position."""
        position = at.start if isinstance(at, Token) else at
        return TargetError(self.text, position, problem, next_step=next_step)


def found(token: Token) -> str:
    """``found ...`` for the end of a problem's text."""
    if token.kind is TokenKind.END:
        return "found the end"
    written = f"'{token.value}'" if token.kind is TokenKind.STRING else token.value
    return f"found {written if len(written) <= 40 else written[:40] + '…'}"
