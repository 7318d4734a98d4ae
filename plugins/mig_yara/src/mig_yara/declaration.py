"""The declared parameters of ``yara``: its own, and ``file``'s filters.

``question`` turns the checked values into a :class:`mig_yara.question.Question`.
"""

from __future__ import annotations

from dataclasses import replace

from mig_core.plugin.parameters import Kind, Parameter, Parameters, Switch
from mig_endpoint.finding import declaration as finding
from mig_yara.rules import MAX_BYTES

NOT_OFFERED = ("description", "remotefs", "debug", "verbose")
"""Of ``file``'s parameters: without effect, or without meaning here."""
MAX_PLACES = 1000
MAX_EXCERPT = 1024


def _check_text(text: str) -> None:
    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError


def _filters() -> tuple[Parameter | Switch, ...]:
    changed = {"path": {"required": False}, "matchall": {"default": True}, "matchlimit": {"cli_default": 0}}
    members = (replace(one, **changed.get(one.name, {})) for one in finding.PARAMETERS.members)  # type: ignore[arg-type]  # each of the field's own type
    return (
        *(one if one.name not in NOT_OFFERED else replace(one, cli=False) for one in members),
        *(one for one in finding.PARAMETERS.switches if one.name not in NOT_OFFERED),
    )


PARAMETERS = Parameters(
    Parameter(
        name="rules",
        key="rules",
        many=True,
        max_length=MAX_BYTES,
        check=_check_text,
        reads_file=True,
        metavar="FILE",
        help="file of YARA rules; its text travels in the action",
    ),
    Parameter(
        name="yara",
        key="yara",
        max_length=MAX_BYTES,
        check=_check_text,
        cli=False,
        help="text of rules, as the original's action files have it; the same as one entry of rules",
    ),
    Parameter(
        name="files",
        key="filesearch",
        max_length=20_000,
        check=_check_text,
        metavar="SPEC",
        help="which files, in the words of mig file, as one text: '-path /tmp -name \"^x\"'",
    ),
    Parameter(
        name="processes",
        key="processes",
        kind=Kind.BOOLEAN,
        help="look into the memory of processes; -name is then asked of the path of the executable",
    ),
    Parameter(
        name="nofiles",
        key="nofiles",
        kind=Kind.BOOLEAN,
        help="of memory, leave out pages that are as in the file they were mapped from",
    ),
    Parameter(
        name="excerpts",
        key="excerpts",
        kind=Kind.INTEGER,
        minimum=0,
        maximum=MAX_EXCERPT,
        metavar="BYTES",
        help="return so many bytes of each match listed; none unless asked for",
    ),
    Parameter(
        name="places",
        key="places",
        kind=Kind.INTEGER,
        minimum=0,
        maximum=MAX_PLACES,
        default=10,
        metavar="N",
        help="how many matches of each pattern to list; all are counted",
    ),
    Parameter(
        name="timeout",
        key="timeout",
        kind=Kind.INTEGER,
        minimum=1,
        maximum=3600,
        default=10,
        metavar="SECONDS",
        help="how long the rules may take for one file, or for one piece of memory",
    ),
    *_filters(),
)
