"""Rules as they travel in the action, compiled where they are used. The only file that makes a compiler.

Never from compiled form: YARA-X can read that too, and trusts it. ``include`` is off: it would read files of whoever
compiles, and show their text in its errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mig_core.errors import ParameterError
from mig_yara import piecewise, source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_yara.piecewise import Piecewise
    from mig_yara.source import RuleText, SourceText

GLOBALS = ("filename", "filepath", "extension")
"""External variables that rules may use: those that scanners of whole systems agree on.

Of a process they are about its executable.
"""
MISSING = {
    "cuckoo": "a report of the Cuckoo sandbox about the file",
    "vt": "VirusTotal's own data about the file",
}
"""Modules that need what no endpoint has."""
MAX_BYTES = 900_000
"""Of all rules together: an action has a megabyte."""


@dataclass(frozen=True)
class Rules:
    """Rules that the compiler has accepted."""

    sources: tuple[str, ...]

    @cached_property
    def texts(self) -> tuple[SourceText, ...]:
        """The sources, read."""
        return tuple(map(source.read, self.sources))

    @cached_property
    def compiled(self) -> Any:
        """All of them, each source a namespace of its own.

        Raises:
            ParameterError: an error, with its line and column.
        """
        return _compile([(namespace_of(self.sources, n), text) for n, text in enumerate(self.sources)], self.globals)

    @cached_property
    def globals(self) -> tuple[str, ...]:
        """Which external variables may occur."""
        return tuple(name for name in GLOBALS if any(name in text for text in self.sources))

    @cached_property
    def count(self) -> int:
        """How many rules."""
        return sum(1 for text in self.sources for found in _RULE.finditer(text) if found[1])

    @cached_property
    def piecewise(self) -> Piecewise:
        """Which of them can be asked of pieces."""
        return piecewise.judge(self.texts)

    @cached_property
    def probed(self) -> tuple[RuleText, ...]:
        """The rules that the probes look for, each by its number."""
        refused = self.piecewise.refused
        return tuple(rule for n, one in enumerate(self.texts) for rule in one.rules if (n, rule.name) not in refused)

    @cached_property
    def probes(self) -> Any:
        """What finds each pattern of the rules that can be asked of pieces: rule ``r7`` for ``probed[7]``."""
        text = "".join(piecewise.probe_of(rule, f"r{number}") for number, rule in enumerate(self.probed))
        return _compile([("default", text)], ())


def check(sources: Sequence[str]) -> Rules:
    """The rules, compiled.

    Raises:
        ParameterError: one cannot be; with its line and column.
    """
    if not any(map(str.strip, sources)):
        raise ParameterError("rules", "is missing", next_step="give at least one file of rules: -rules FILE")
    if sum(len(one.encode()) for one in sources) > MAX_BYTES:
        raise ParameterError("rules", f"are larger than {MAX_BYTES} bytes", next_step="ask in several actions")
    rules = Rules(tuple(sources))
    for number, name in _missing(rules):
        raise ParameterError(
            f"rules[{number}]",
            f"uses the module {name!r}, which needs {MISSING[name]}",
            next_step="leave out the rules that use it: no endpoint could judge them",
        )
    rules.compiled  # noqa: B018  # raises what is wrong with them
    if not rules.count:
        raise ParameterError("rules", "has no rule")
    return rules


def _missing(rules: Rules) -> Iterator[tuple[int, str]]:
    """Sources that use a module of :data:`MISSING`. To read a text takes a while, so only one that may be."""
    for number, text in enumerate(rules.sources):
        for name in MISSING:
            if f'"{name}"' not in text or name not in rules.texts[number].imports:
                continue
            if any(token.text == name for rule in rules.texts[number].rules for token in rule.condition):
                yield number, name


def namespace_of(sources: Sequence[str], number: int) -> str:
    """The namespace of a source: ``default`` if there is only one, else ``rules1``, ``rules2`` and so on."""
    return "default" if len(sources) == 1 else f"rules{number + 1}"


def _compile(sources: Sequence[tuple[str, str]], variables: Sequence[str]) -> Any:
    import yara_x

    compiler = yara_x.Compiler(includes_enabled=False)
    for name in variables:
        compiler.define_global(name, "")
    for number, (namespace, text) in enumerate(sources):
        compiler.new_namespace(namespace)
        try:
            compiler.add_source(text, origin=f"rules[{number}]")
        except yara_x.CompileError:
            raise _error(number, compiler.errors()) from None
        except ValueError as error:
            raise ParameterError(f"rules[{number}]", f"cannot be read: {error}") from None
        except BaseException as panic:  # pyo3's PanicException: the compiler met a case it does not know
            if type(panic).__name__ != "PanicException":
                raise
            raise ParameterError(f"rules[{number}]", f"the compiler broke off: {panic}") from None
    return compiler.build()


_RULE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\brule\s+([A-Za-z_]\w*)', re.DOTALL)
"""Comments and texts, which are passed over, and the heads of rules."""
_HINTS = {
    "E024": "YARA 4 takes shorter texts under base64; YARA-X does not: they would match nearly anywhere",
    "E043": "include is not followed: put the text of the file itself in",
    "E044": "include is not followed: put the text of the file itself in",
    "E009": f"external variables that are known here: {', '.join(GLOBALS)}",
}


def _error(number: int, errors: Sequence[dict[str, Any]]) -> ParameterError:
    """The first error, and how many more there are."""
    first = errors[0]
    label: dict[str, Any] = next(iter(first.get("labels", ())), {})
    detail = str(label.get("text", ""))
    problem = f"line {first.get('line')}, column {first.get('column')}: {first.get('title')}"
    if detail and detail != first.get("title"):
        problem += f": {detail}"
    if len(errors) > 1:
        problem += f" (and {len(errors) - 1} more)"
    return ParameterError(f"rules[{number}]", problem, next_step=_HINTS.get(str(first.get("code")), ""))
