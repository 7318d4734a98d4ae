"""``mig sigma compile`` and ``mig sigma test``: what needs no endpoint. All else behind ``mig sigma`` asks one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mig_core.errors import MigError

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.command("compile")
def compile_rules(
    files: Annotated[list[Path], typer.Argument(help="Files with Sigma rules, or folders with such")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the compiled rules go")] = Path("rules.json"),
    action: Annotated[
        bool, typer.Option("--action", help="Write an action for: mig ask FILE -t TARGET -e WINDOW")
    ] = False,
) -> None:
    """Compile Sigma rules into the form that endpoints evaluate, and name those that cannot be."""
    from mig_core.domain.document import dump
    from mig_sigma.module import MAX_RULES_TEXT
    from mig_sigma.rule import document

    found = _found(files)
    text = dump(document([rule for rule, _origin in found.rules.values()])).decode()
    if action:
        if len(text) > MAX_RULES_TEXT:
            raise MigError(
                f"the rules have {len(text)} characters, an action may bring {MAX_RULES_TEXT}",
                next_step="send them in several actions, or put the file on the endpoints (persistent.sigma.rules)",
            )
        operations: list[Any] = [{"module": "sigma", "parameters": {"rules": text}}]
        text = json.dumps({"syntaxversion": 3, "name": f"{len(found.rules)} Sigma rules", "operations": operations})
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise MigError(f"{output}: cannot be written: {error.strerror}") from None
    for name, problem in found.problems.items():
        typer.echo(f"{name}: {problem}", err=True)
    typer.echo(f"{len(found.rules)} rules compiled into {output}, {len(found.problems)} left out", err=True)


@app.command("test")
def test_rules(
    files: Annotated[list[Path], typer.Argument(help="Files with Sigma rules, or compiled ones")],
    events: Annotated[Path, typer.Option("--events", help="Alerts, one JSON object a line; - is standard input")],
    module: Annotated[
        str, typer.Option("--module", help="audit or fswatch: whose alerts they are; else what each one's type says")
    ] = "",
) -> None:
    """Say which rules match recorded alerts, without an endpoint."""
    from mig_sigma.trial import Tried, matches

    found = _found(files)
    for name, problem in found.problems.items():
        typer.echo(f"{name}: {problem}", err=True)
    count, tried = 0, Tried()
    rules = [rule for rule, _origin in found.rules.values()]
    with _opened(events) as lines:
        for number, rule, alert in matches(rules, lines, module, tried):
            count += 1
            told = {"line": number, "rule": rule.id, "title": rule.title, "level": rule.level, "event": alert}
            typer.echo(json.dumps(told, ensure_ascii=False))
    if tried.passed_over:
        typer.echo(f"{events}: {tried.passed_over} lines are no alerts and were passed over", err=True)
    typer.echo(f"{len(rules)} rules, {count} matches in {tried.alerts} alerts", err=True)


def _opened(events: Path) -> Any:
    if str(events) == "-":
        return sys.stdin.buffer
    try:
        return events.open("rb")
    except OSError as error:
        raise MigError(f"{events}: cannot be read: {error.strerror}") from None


def _found(files: list[Path]) -> Any:
    from mig_sigma.loading import find

    return find([str(one.absolute()) for one in files], builtin=False)
