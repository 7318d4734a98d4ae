"""A question as typed values: rules, and where to look for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_core.errors import ParameterError
from mig_endpoint.finding.search import refuse_unanswerable, search_of
from mig_yara import filespec
from mig_yara.declaration import PARAMETERS
from mig_yara.engine import Limits
from mig_yara.rules import Rules, check

if TYPE_CHECKING:
    from mig_core.plugin.parameters import Values
    from mig_endpoint.finding.search import Search

EVERY_FILE = "."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    rules: Rules
    limits: Limits
    search: Search | None
    """Which files; None: processes are asked about."""
    names: tuple[str, ...] = ()
    """Regular expressions on the paths of executables."""
    nofiles: bool = False


def read(raw: object, *, strict: bool) -> Question:
    """The question.

    Raises:
        ParameterError: names the JSON path; for rules, line and column too.
    """
    values = PARAMETERS.parse(raw, strict=strict)
    sources = values.texts("rules") + ((values.text("yara"),) if values.text("yara") else ())
    search = None
    if values.boolean("processes"):
        _refuse_file_filters(values)
    else:
        if values.boolean("nofiles"):
            raise ParameterError("nofiles", "is about memory", next_step="give -processes too")
        search = _search(values)
    limits = Limits(values.integer("places"), values.integer("excerpts"), values.integer("timeout"))
    return Question(check(sources), limits, search, values.texts("name"), values.boolean("nofiles"))


_BOTH = frozenset(
    {"rules", "yara", "processes", "nofiles", "excerpts", "places", "timeout", "name", "description", "debug"}
)
_HARMLESS = {"matchall", "maxdepth", "maxerrors", "matchlimit"}
"""What mig sends without being asked."""


def _refuse_file_filters(values: Values) -> None:
    for one in PARAMETERS.members:
        if one.name in values.present and one.name not in _BOTH | _HARMLESS:
            raise ParameterError(one.key, "is about files, and processes are asked for", next_step="ask twice")


def _search(values: Values) -> Search:
    paths, spec = values.texts("path"), values.text("files")
    if bool(paths) == bool(spec):
        raise ParameterError(
            "paths",
            "and filesearch are both given" if spec else "is missing",
            next_step="say where to look: -path PATH, -files 'SPEC' or -processes",
        )
    if spec:
        search = filespec.read(spec)
        return replace(search, options=replace(search.options, matchlimit=0))
    search = search_of("yara", values)
    if not search.has_filters:
        search = replace(search, filters=search.filters | {"names": (EVERY_FILE,)})
    refuse_unanswerable(search, "options.archives")
    return search
