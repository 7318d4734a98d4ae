"""``mig history AGENT``: everything one endpoint ever answered, and what happened to it, on one time line."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import tables
from mig_core.cli.entries import print_entries
from mig_core.cli.formats import Format
from mig_core.cli.results import AgentArgument, CsvOption, JsonlOption, one_format
from mig_core.client.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(add_completion=False, rich_markup_mode=None)

HEAD = ("time", "what", "state", "found", "complete", "action", "detail")


@app.command("history")
def history(
    agent: AgentArgument,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many lines, the latest; 0: all")] = 50,
    json: tables.JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
) -> None:
    """Everything one endpoint ever answered, the latest first (its id or its exact name)."""
    output = one_format(Format.TEXT, json=json, jsonl=jsonl, csv=csv)
    client = connect().client
    identifier = client.agent_id(agent)
    events = client.agent(identifier).get("events", [])
    lines = islice(
        heapq.merge(_answers(client.history(identifier)), _events(events), key=lambda one: one["time"], reverse=True),
        limit or None,
    )
    print_entries(lines, output, HEAD, ("time", "what", "state", "action", "detail"), _shown, nothing="")


def _answers(commands: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Commands as lines; their time is when they came into the books."""
    for one in commands:
        detail = one["actionname"] if not one["reason"] else f"{one['actionname']}: {one['reason']}"
        yield {
            "time": one["queued"],
            "what": "question",
            "state": one["state"],
            "found": one["found"],
            "complete": one["complete"],
            "action": one["action"],
            "finished": one["finished"],
            "bytes": one["bytes"],
            "detail": detail,
        }


def _events(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in events:
        rest = dict.fromkeys(("state", "found", "complete", "action", "finished", "bytes"))
        yield {"time": one["time"], "what": one["event"], **rest, "detail": one["detail"]}


def _shown(line: dict[str, Any]) -> tuple[object, ...]:
    words = [line["state"] or ""]
    if line["state"] == "success":
        words = ["found" if line["found"] else "not found", *([] if line["complete"] else ["not complete"])]
    return tables.moment(line["time"]), line["what"], ", ".join(words), line["action"], line["detail"]
