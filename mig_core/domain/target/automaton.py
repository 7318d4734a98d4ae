"""Runs regular expressions and LIKE patterns in time that grows with the text only, whatever the pattern.

A Thompson automaton whose sets of states are remembered as they occur (a lazily built DFA). Python's ``re`` backtracks:
one pattern of ten characters can hold an agent for hours, and a target comes from outside.
"""

from __future__ import annotations

from functools import lru_cache

from mig_core.domain.target.regex import parse_regex
from mig_core.domain.target.regex_tree import (
    ANY,
    CharacterSet,
    Choice,
    Expression,
    Repeat,
    Sequence,
    TextEnd,
    TextStart,
)

_MAX_REMEMBERED = 100_000
"""Members of all remembered sets of one automaton: at most some 10 MB, however the pattern was made."""

_Step = CharacterSet | TextStart | TextEnd | None


class Automaton:
    """One expression, ready to be searched for. Not for use by several threads at once without the GIL."""

    def __init__(self, tree: Expression) -> None:
        self._steps: list[tuple[_Step, tuple[int, ...]]] = [(None, ())]  # state 0: matched
        self._start = self._build(tree, 0)
        self._moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._remembered = 0

    def found_in(self, text: str) -> bool:
        """Whether the expression matches anywhere in ``text``."""
        states = self._closure({self._start}, at_start=True, at_end=not text)
        for character in text:
            if 0 in states:
                return True
            states = self._move(states, character)
        return 0 in (self._closure(set(states), at_start=False, at_end=True) if text else states)

    def _move(self, states: frozenset[int], character: str) -> frozenset[int]:
        known = self._moves.get((states, character))
        if known is not None:
            return known
        code = ord(character)
        reached = {self._start}  # the match may begin after this character too
        for state in states:
            step, following = self._steps[state]
            if isinstance(step, CharacterSet) and step.negated != any(low <= code <= high for low, high in step.ranges):
                reached.update(following)
        after = self._closure(reached, at_start=False, at_end=False)
        self._remembered += len(after) + 1
        if self._remembered > _MAX_REMEMBERED:
            self._moves.clear()
            self._remembered = 0
        self._moves[states, character] = after
        return after

    def _closure(self, states: set[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """All states reachable without a character; those that wait for the end of the text are kept."""
        seen: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            step, following = self._steps[state]
            passes = (
                step is None or (isinstance(step, TextStart) and at_start) or (isinstance(step, TextEnd) and at_end)
            )
            if passes:
                waiting.extend(following)
        return frozenset(state for state in seen if state == 0 or self._steps[state][0] is not None)

    def _add(self, step: _Step, *following: int) -> int:
        self._steps.append((step, following))
        return len(self._steps) - 1

    def _build(self, tree: Expression, after: int) -> int:
        """Adds the states of ``tree``, built from its end; returns where it starts."""
        match tree:
            case Sequence(items):
                for item in reversed(items):
                    after = self._build(item, after)
                return after
            case Choice(items):
                return self._add(None, *(self._build(item, after) for item in items))
            case Repeat(item, low, high):
                return self._build_repeat(item, low, high, after)
            case _:
                return self._add(tree, after)

    def _build_repeat(self, item: Expression, low: int, high: int | None, after: int) -> int:
        if high is None:
            loop = self._add(None)
            self._steps[loop] = (None, (self._build(item, loop), after))
            after = loop
        else:
            end = after
            for _ in range(high - low):
                after = self._add(None, self._build(item, after), end)
        for _ in range(low):
            after = self._build(item, after)
        return after


@lru_cache(maxsize=64)
def regex_automaton(pattern: str, ignore_case: bool) -> Automaton:
    """The automaton of a pattern that :func:`parse_regex` accepts."""
    return Automaton(parse_regex(pattern, ignore_case=ignore_case))


@lru_cache(maxsize=64)
def like_automaton(pattern: str) -> Automaton:
    """The automaton of a LIKE pattern that does not end in a lone backslash."""
    items: list[Expression] = [TextStart()]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            items.append(Repeat(ANY, 0, None))
        elif character == "_":
            items.append(ANY)
        else:
            code = ord(next(characters) if character == "\\" else character)
            items.append(CharacterSet(((code, code),)))
    return Automaton(Sequence((*items, TextEnd())))


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def lower_ascii(text: str) -> str:
    """PostgreSQL's ``lower`` under ``COLLATE "C"``: ASCII letters only."""
    return text.translate(_ASCII_LOWER)
