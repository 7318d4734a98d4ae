"""Options that every question takes, whatever its module.

Where it goes, how long it may take, what is shown of the answers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from mig_core.cli.formats import Format, Show
from mig_core.cli.waiting import Waiting, waiting_of
from mig_core.config.client import ONLINE
from mig_core.domain.times import parse_duration
from mig_core.errors import InvalidDocument
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from mig_core.cli.following import Following
    from mig_core.cli.row_options import RowOptions

LOCAL = "local"
"""The target that runs the module in this very machine: no server, no settings."""
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What was chosen; ``targets`` is empty and ``expiry`` None when the settings' own apply."""

    targets: tuple[str, ...]
    """Agents that any of them names are asked."""
    narrowing: str
    """Further conditions, to be joined by AND; empty for none."""
    expiry: timedelta | None
    name: str
    show: Show
    format: Format
    dry_run: bool
    sign_only: bool
    yes: bool
    exit_found: bool
    detach: bool
    waiting: Waiting = field(default_factory=Waiting)
    rows: RowOptions | None = None
    """How the answers' rows are shown when all have come; None: answers are shown as they come."""

    @property
    def following(self) -> Following:
        """How the answers are waited for and shown."""
        from mig_core.cli.following import Following

        return Following(self.show, self.format, self.waiting, self.rows, self.exit_found)

    @property
    def is_local(self) -> bool:
        """Whether the module is to run in this very machine."""
        return self.targets == (LOCAL,)

    def target(self, default: str, macros: Mapping[str, str]) -> str:
        """The target with macros written out.

        Args:
            default: when none was chosen.
            macros: of the investigator's settings.

        Raises:
            TargetError: it is none.
        """
        if not self.targets and default == ONLINE:
            return default  # reading it would take longer than all that is left to do before signing

        from mig_core.domain.target import parse_target  # nor does help wait for it

        expanded = [parse_target(one, macros=macros).expanded for one in self.targets or (default,)]
        return expanded[0] if len(expanded) == 1 else " OR ".join(f"({one})" for one in expanded)


SPELLINGS: tuple[tuple[str, Any, str, tuple[str, ...]], ...] = (
    (
        "target",
        list[str],
        "Where: an expression, a macro, a name like 'web*', all, or local; given again, those agents too"
        " (default: the settings' target)",
        ("--target", "-t"),
    ),
    (
        "expiry",
        str,
        "How long agents may take, like 60s or 1h (default: the settings' expiry; 5m with -t local)",
        ("--expiry", "-e"),
    ),
    ("name", str, "Name of the action (default: this command line)", ("--action-name", "-n")),
    ("show", Show, "Which answers: found, notfound or all (default: found)", ("--show", "-show")),
    ("target_found", str, "Only agents that found something in this ACTION", ("--target-found", "-target-found")),
    (
        "target_notfound",
        str,
        "Only agents that found nothing in this ACTION",
        ("--target-notfound", "-target-notfound"),
    ),
    (
        "dry_run",
        bool,
        "Print what would be signed, who would be asked and the weights needed; send nothing",
        ("--dry-run", "-p"),
    ),
    ("sign_only", bool, "Print the signed action and send nothing", ("--sign-only", "-s")),
    ("json", bool, "One JSON document with all answers", ("--json",)),
    ("jsonl", bool, "One JSON line an answer, as it arrives", ("--jsonl",)),
    ("csv", bool, "CSV: a header, then a line a row", ("--csv",)),
    (
        "where",
        str,
        "Of the answers, only rows that fit these conditions on columns, when all have come",
        ("--where",),
    ),
    ("columns", str, "Of the answers' rows, only these columns", ("--columns",)),
    ("stack", str, "Values of these columns, each with how many endpoints have it", ("--stack",)),
    ("rare", int, "With --stack: the N values that the fewest endpoints have", ("--rare",)),
    ("yes", bool, "Do not ask before a large question goes out", ("--yes", "-y")),
    ("exit_found", bool, "Exit status 0 only when something was found, like grep", ("--exit-found",)),
    ("detach", bool, "Print the action's id and do not wait for answers", ("--detach",)),
    (
        "wait",
        str,
        "Until so much is there: found:1, 95% or 20 answers; then the question goes on unwatched",
        ("--wait",),
    ),
    ("no_wait_offline", bool, "Do not wait for agents that are offline", ("--no-wait-offline",)),
    ("compress", bool, "Accepted for the original's sake; the relays compress by themselves", ("--compress", "-z")),
)


def option_parameters() -> Iterator[inspect.Parameter]:
    """The parameters of a typer function; :func:`chosen` reads what was given for them."""
    from inspect import Parameter  # a plain question is read without these two

    import typer

    from mig_core.cli.completion import complete_action, complete_target

    for name, kind, text, spellings in SPELLINGS:
        completes = complete_target if name == "target" else complete_action if name.startswith("target_") else None
        option = typer.Option(
            *spellings, help=text, show_default=False, hidden=name == "compress", autocompletion=completes
        )
        annotation = Annotated[bool, option] if kind is bool else Annotated[kind | None, option]
        default = False if kind is bool else None
        yield Parameter("ask_" + name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def chosen(arguments: Mapping[str, Any]) -> AskOptions:
    """The options that were given.

    Raises:
        typer.BadParameter: a duration or an action's id that is none, or two formats at once.
    """
    given = {name: arguments["ask_" + name] for name, *_ in SPELLINGS}
    formats = [Format(name) for name in ("json", "jsonl", "csv") if given[name]]
    if len(formats) > 1:
        raise _bad("choose one of --json, --jsonl and --csv")
    try:
        expiry = parse_duration(given["expiry"]) if given["expiry"] else None
    except ValueError as error:
        raise _bad(f"-e: {error}") from None
    if expiry is not None and not expiry:
        raise _bad(f"-e: {given['expiry']} is no time at all, no agent could answer; give some, like 60s")
    targets = tuple(dict.fromkeys(given["target"] or ()))
    if LOCAL in targets and len(targets) > 1:
        raise _bad(f"-t: {LOCAL} is this machine alone, without a platform; it goes with no other target")
    return AskOptions(
        targets=targets,
        narrowing=_narrowing(found=given["target_found"], notfound=given["target_notfound"]),
        expiry=expiry,
        name=given["name"] or _command_line(),
        show=given["show"] or Show.FOUND,
        format=formats[0] if formats else Format.TEXT,
        dry_run=given["dry_run"],
        sign_only=given["sign_only"],
        yes=given["yes"],
        exit_found=given["exit_found"],
        detach=given["detach"],
        waiting=waiting_of(given["wait"] or "", offline=not given["no_wait_offline"]),
        rows=_rows(given, formats[0] if formats else Format.TEXT, local=LOCAL in targets),
    )


def _rows(given: Mapping[str, Any], output: Format, *, local: bool) -> RowOptions | None:
    if not any(given[name] for name in ("where", "columns", "stack", "rare")):
        return None
    from mig_core.cli.row_options import row_options

    rows = row_options(
        where=given["where"] or "",
        columns=given["columns"] or "",
        stack=given["stack"] or "",
        rare=given["rare"] or 0,
        output=output,
    )
    if rows is not None and local:
        raise _bad("rows are put together by the platform: --where, --columns and --stack need one")
    return rows


def _narrowing(**actions: str | None) -> str:
    conditions = []
    for function, action in actions.items():
        if action:
            from mig_core.client.references import is_reference
            from mig_core.domain.ids import check_uuid

            try:
                identifier = check_uuid(action.lower(), subject=f"--target-{function}", path="")
            except InvalidDocument as error:
                if not is_reference(action):
                    raise _bad(str(error)) from None
                from mig_core.client.connection import connect

                identifier = connect().client.action_id(action)
            conditions.append(f"{function}('{identifier}')")
    return " AND ".join(conditions)


def _command_line() -> str:
    text = " ".join(["mig", *sys.argv[1:]])
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


def _bad(problem: str) -> Exception:
    import typer

    return typer.BadParameter(problem)
