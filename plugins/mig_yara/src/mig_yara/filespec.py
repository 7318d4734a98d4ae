"""The original's way to say which files: one text with the words of ``mig file``."""

from __future__ import annotations

import shlex

from mig_core.errors import ParameterError
from mig_core.plugin.parameters import Kind
from mig_endpoint.finding.declaration import PARAMETERS
from mig_endpoint.finding.search import Search, read_searches


def read(spec: str) -> Search:
    """The search that a text like ``-path /tmp -name '^x'`` asks for.

    Raises:
        ParameterError: it cannot be read, or ``file`` would refuse it.
    """
    try:
        words = shlex.split(spec)
    except ValueError as error:
        raise ParameterError("filesearch", f"cannot be split into words: {error}") from None
    kinds = {one.name: (one.kind, one.many) for one in PARAMETERS.members}
    kinds.update({one.name: (Kind.BOOLEAN, False) for one in PARAMETERS.switches})
    options: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in kinds:
            raise ParameterError("filesearch", f"{word!r:.80} is no option of mig file")
        kind, many = kinds[name]
        if kind is Kind.BOOLEAN:
            options[name] = value.casefold() not in ("false", "f", "0") if equals else True
            continue
        text = value if equals else next(rest, None)
        if text is None:
            raise ParameterError("filesearch", f"-{name} has no value")
        options[name] = [*_list(options.get(name)), text] if many else _value(name, kind, text)
    try:
        (search,) = read_searches(PARAMETERS.from_options(options), strict=True)
    except ParameterError as error:
        where = error.path.removeprefix("searches.s1.").removeprefix("searches.s1")
        raise ParameterError("filesearch", f"{where}: {error.problem}", next_step=error.next_step) from None
    return search


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _value(name: str, kind: Kind, text: str) -> object:
    if kind is not Kind.INTEGER:
        return text
    try:
        return int(text)
    except ValueError:
        raise ParameterError("filesearch", f"-{name} takes a number, got {text!r:.60}") from None
