"""``mig log``: what the platform was made to do, by whom, and from where."""

from __future__ import annotations

import json as jsons
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import tables
from mig_core.cli.entries import print_entries
from mig_core.cli.formats import Format
from mig_core.cli.results import CsvOption, JsonlOption, one_format
from mig_core.client.connection import connect
from mig_core.domain.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(add_completion=False, rich_markup_mode=None)

HEAD = ("time", "what", "whoname", "who", "address", "subjectname", "subject", "login", "detail")


@app.command("log")
def log(
    since: Annotated[str, typer.Option("--since", help="Not before: a time, or how long ago, like 24h")] = "",
    until: Annotated[str, typer.Option("--until", help="Before: a time, or how long ago")] = "",
    who: Annotated[str, typer.Option("--who", help="Only what this investigator did (fingerprint or name)")] = "",
    what: Annotated[
        str, typer.Option("--what", help="Only such entries, like agent.retired,login or action for all of actions")
    ] = "",
    subject: Annotated[
        str, typer.Option("--subject", help="Only what was done to this agent, action or investigator")
    ] = "",
    address: Annotated[str, typer.Option("--from", help="Only requests from this address")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many, the latest; 0: all")] = 50,
    json: tables.JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
) -> None:
    """Who asked, approved, retired, changed permissions, logged in or failed to, and from where; latest first."""
    output = one_format(Format.TEXT, json=json, jsonl=jsonl, csv=csv)
    now = lambda: datetime.now(UTC)  # noqa: E731  short, and used twice
    begins, ends = _moment("--since", since, now), _moment("--until", until, now)
    entries = connect().client.platform_log(
        since=begins, until=ends, who=who, what=what.split(","), subject=subject, address=address, limit=limit or None
    )
    print_entries(entries, output, HEAD, ("time", "what", "who", "from", "subject", "detail"), _shown)


def _shown(one: dict[str, Any]) -> tuple[object, ...]:
    detail = " ".join(
        f"{name}={value if isinstance(value, str) else jsons.dumps(value)}" for name, value in one["detail"].items()
    )
    # What came from no request was done on the database itself, or by a program of the platform.
    place = one["address"] or f"login {one['login']}"
    who, subject = one["whoname"] or one["who"], one["subjectname"] or one["subject"]
    return tables.moment(one["time"]), one["what"], who, place, subject, detail


def _moment(option: str, text: str, now: Callable[[], datetime]) -> str:
    if not text:
        return ""
    try:
        return format_time(now() - parse_duration(text))
    except ValueError:
        pass
    try:
        return format_time(parse_time(text if "T" in text else f"{text}T00:00:00Z"))
    except ValueError as error:
        raise typer.BadParameter(
            f"must be a time like 2026-11-23T03:00:00Z or 2026-11-23, or how long ago, like 24h: {text!r:.60}",
            param_hint=option,
        ) from error
