"""``mig results ACTION`` (also ``mig action results``): answers, checked against what agents signed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from mig_core.cli import exit_codes
from mig_core.cli.completion import complete_action, complete_agent
from mig_core.cli.formats import Format, Show
from mig_core.cli.known_keys import known_keyring
from mig_core.cli.row_options import (
    ColumnsOption,
    GroupOption,
    LimitOption,
    RareOption,
    SortOption,
    StackOption,
    WhereOption,
    row_options,
)
from mig_core.cli.terminal import GREEN, RED, YELLOW, note
from mig_core.client.connection import Connection, connect
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.text import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ActionArgument = Annotated[
    str, typer.Argument(help="Its id, the beginning of it, last, or -2", autocompletion=complete_action)
]
AgentArgument = Annotated[
    str, typer.Argument(help="Its exact name, its id, or the beginning of it", autocompletion=complete_agent)
]
ShowOption = Annotated[Show, typer.Option("--show", "-show", help="Which answers")]
FormatOption = Annotated[Format, typer.Option("--format", help="How answers are printed")]
VerifyOption = Annotated[
    bool,
    typer.Option("--verify", help="Check answers against what agents signed, and the question's signatures"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document")]
JsonlOption = Annotated[bool, typer.Option("--jsonl", help="One JSON line an answer, a row or a value")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV: a header, then a line a row or a value")]
ParquetOption = Annotated[
    Path | None, typer.Option("--parquet", help="Write rows, or the stack, to this Parquet file (needs pyarrow)")
]


def one_format(output: Format, *, json: bool, jsonl: bool, csv: bool) -> Format:
    """The format that was chosen, by its own option or by ``--format``.

    Raises:
        typer.BadParameter: several were.
    """
    given = {one for one, asked in ((Format.JSON, json), (Format.JSONL, jsonl), (Format.CSV, csv)) if asked}
    if output is not Format.TEXT:
        given.add(output)
    if len(given) > 1:
        raise typer.BadParameter("choose one of --json, --jsonl and --csv")
    return given.pop() if given else Format.TEXT


@app.command("results")
def results(
    action: ActionArgument,
    show: ShowOption = Show.FOUND,
    output: FormatOption = Format.TEXT,
    verify: VerifyOption = False,
    json: JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
    where: WhereOption = "",
    columns: ColumnsOption = "",
    sort: SortOption = "",
    limit: LimitOption = None,
    stack: StackOption = "",
    rare: RareOption = 0,
    group_by: GroupOption = "",
    parquet: ParquetOption = None,
) -> int:
    """Print the answers there are now, or their rows: chosen, sorted, stacked."""
    output = one_format(output, json=json, jsonl=jsonl, csv=csv)
    rows = row_options(
        where=where,
        columns=columns,
        sort=sort,
        limit=limit,
        stack=stack,
        rare=rare,
        group_by=group_by,
        output=output,
        parquet=parquet,
    )
    if rows is not None:
        from mig_core.cli.row_output import print_rows

        if verify:
            raise typer.BadParameter("--verify checks whole answers; rows are put together by the platform")
        client = connect().client
        print_rows(client, client.action(client.action_id(action)), rows)
        return exit_codes.ALL_ANSWERED
    return _answers_themselves(action, show, output, verify=verify)


def _answers_themselves(action: str, show: Show, output: Format, *, verify: bool) -> int:
    from mig_core.cli.answers import AnswerPrinter

    connection = connect()
    action = connection.client.action_id(action)
    document = connection.client.action(action)
    printer = AnswerPrinter([one["module"] for one in document["operations"]], show, output)
    checks = _Checks(connection) if verify else None
    if checks is not None:
        checks.question(document)
    waiting = 0
    for command in connection.client.commands(action, proofs=verify):
        if not command["finished"]:
            waiting += 1
            continue
        if checks is None or checks.answer(command):
            printer.print(command)
    kept = verify or output is not Format.JSON
    printer.finish({key: value for key, value in document.items() if key != "envelope" or kept})
    if waiting:
        note(f"{waiting} of {document['targeted']} agents have not answered yet: mig action follow {action}", YELLOW)
    elif not document["targeted"] and document["state"] in ("pending", "scheduled", "inflight"):
        note(f"nobody has been asked yet: the action is {document['state']}", YELLOW)
    return exit_codes.ALL_ANSWERED if checks is None else checks.finish()


class _Checks:
    """What was checked and how it came out. An answer that is not what its agent signed is said and not printed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._good = 0
        self._unanswered = 0
        self._bad = 0

    def question(self, action: dict[str, Any]) -> None:
        """The signatures over the question, by the keys in this investigator's GnuPG."""
        from mig_core.client.proofs import check_question

        with tempfile.TemporaryDirectory(prefix="mig-verify-") as home:
            keyring = known_keyring(self._connection.settings.gnupg_home, action["signers"], Path(home))
            try:
                checked = check_question(action, keyring)
            except (SignatureInvalid, InvalidDocument) as error:
                self._wrong("the question", error)
                return
        for fingerprint in checked.signed_by:
            note(f"the question is signed by {fingerprint}: checked", GREEN)
        for fingerprint in checked.unknown:
            note(f"the question is signed by {visible(fingerprint)}: not checked, your GnuPG lacks the key", YELLOW)

    def answer(self, command: dict[str, Any]) -> bool:
        """Whether the answer is what its agent signed (or there is none); otherwise it is said."""
        from mig_core.client.proofs import check_answer

        try:
            signed = check_answer(command)
        except (SignatureInvalid, InvalidDocument) as error:
            self._wrong(f"{visible(command['agentname'])} ({command['agent']})", error)
            return False
        if signed is None:
            self._unanswered += 1
        else:
            self._good += 1
        return True

    def finish(self) -> int:
        """The sum, and the exit status."""
        note(f"{self._good} {_answers(self._good)} checked: as signed by the agent", GREEN if self._good else "")
        if self._unanswered:
            note(f"{self._unanswered} without an answer: that is the platform's own word, nobody signed it", YELLOW)
        if self._bad:
            note(f"{self._bad} wrong: not shown; look into who can write to the database", RED)
        return exit_codes.ERROR if self._bad else exit_codes.ALL_ANSWERED

    def _wrong(self, what: str, error: Exception) -> None:
        self._bad += 1
        note(f"WRONG  {what}: {visible(str(error))}", RED)


def _answers(count: int) -> str:
    return "answer" if count == 1 else "answers"
