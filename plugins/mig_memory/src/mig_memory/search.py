"""A search as typed values: what one labelled object of the parameters asks.

Made by :func:`read_searches` from checked values; ``evaluation`` works it, ``rows`` echoes it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from mig_core.errors import ParameterError
from mig_core.records import dataclass
from mig_endpoint.processes.plan import Extent
from mig_memory import patterns
from mig_memory.declaration import PARAMETERS

if TYPE_CHECKING:
    from mig_core.plugin.parameters import Values


class CheckKind(Enum):
    """What a check is about; the value is its JSON key. In the order in which results list them."""

    NAME = "names"
    LIBRARY = "libraries"
    CONTENT = "contents"
    BYTES = "bytes"


WORDS = {CheckKind.NAME: "name", CheckKind.LIBRARY: "lib", CheckKind.CONTENT: "content", CheckKind.BYTES: "bytes"}
"""Kind -> its word on the command line."""
IN_MEMORY = (CheckKind.CONTENT, CheckKind.BYTES)
"""The kinds that need the process's memory."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look for. Two equal checks, even of different searches, are looked for once."""

    kind: CheckKind
    text: str
    wide: bool = False
    """Whether a ``CONTENT`` is looked for in UTF-16LE as well."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search."""

    label: str
    description: str
    checks: tuple[Check, ...]
    extent: Extent
    matchall: bool
    logfailures: bool
    wide: bool = False

    def of(self, *kinds: CheckKind) -> tuple[Check, ...]:
        """The checks of some kinds."""
        return tuple(one for one in self.checks if one.kind in kinds)


def read_searches(raw: object, *, strict: bool) -> tuple[Search, ...]:
    """The searches of an operation, in the order of the JSON.

    Raises:
        ParameterError: names the JSON path. ``strict`` also refuses unknown keys and a search without any check, which
            could find nothing.
    """
    labelled = PARAMETERS.parse_labelled(raw, strict=strict)
    searches = tuple(_search(label, values) for label, values in labelled.items())
    for one in searches:
        if strict and not one.checks:
            raise ParameterError(
                f"searches.{one.label}",
                "has no check, so nothing can match",
                next_step=f"give at least one of {', '.join(WORDS.values())}; name '.' matches every process",
            )
    return searches


def _search(label: str, values: Values) -> Search:
    wide = values.boolean("wide")
    if wide:
        _check_wide(label, values.texts("content"))
    checks = tuple(
        Check(kind, text, wide and kind is CheckKind.CONTENT)
        for kind, word in WORDS.items()
        for text in values.texts(word)
    )
    return Search(
        label=label,
        description=values.text("description"),
        checks=checks,
        extent=Extent(values.integer("offset"), values.integer("maxlength"), values.boolean("nofiles")),
        matchall=values.boolean("matchall"),
        logfailures=values.boolean("logfailures"),
        wide=wide,
    )


def _check_wide(label: str, contents: tuple[str, ...]) -> None:
    for index, text in enumerate(contents):
        try:
            patterns.check_wide(text)
        except ValueError as error:
            raise ParameterError(f"searches.{label}.contents[{index}]", str(error)) from error
