"""``mig-agent log``: the ledger for the machine's owner, and whether its chain is whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

from mig_core.agent.records.ledger_file import read_ledger
from mig_core.errors import InvalidDocument
from mig_core.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.document import JSON


def show_ledger(path: Path, *, as_json: bool, out: TextIO, err: TextIO) -> bool:
    """Prints the entries; returns whether the chain is whole. An agent that was never asked anything has a whole one.

    Args:
        path: the ledger's file.
        as_json: one JSON object a line, as in the file, instead of lines for people.
        out: the entries.
        err: the verdict.
    """
    count = 0
    try:
        for entry in read_ledger(path):
            count += 1
            print(json.dumps(entry) if as_json else _line(entry), file=out)
    except FileNotFoundError:
        print(f"{path}: nothing has been asked here", file=err)
        return True
    except InvalidDocument as error:
        out.flush()
        print(f"the chain is broken: {error.diagnostics()}", file=err)
        return False
    out.flush()
    print(f"{count} entries, the chain is whole", file=err)
    return True


def _line(entry: dict[str, JSON]) -> str:
    time, event, command = entry.get("time"), entry.get("event"), entry.get("command", "")
    action = entry.get("action")
    if event == "asked":
        text = f"action {action} {entry.get('name')!r} by {_signers(entry)}: {_operations(entry.get('operations'))}"
    elif event == "answered":
        reason = f" ({entry.get('reason')})" if entry.get("reason") else ""
        found = "found something" if entry.get("found") else "found nothing"
        text = f"action {action}: {entry.get('state')}, {found}{reason} sha256 {entry.get('sha256')}"
    elif event == "cancel":
        text = f"action {action} by {_signers(entry)}: {entry.get('reason') or 'no reason given'}"
    elif event == "reused":
        text = f"came again for action {action}, sha256 {entry.get('payload')}: not run"
    elif event == "repeated":
        text = f"{entry.get('count')} more {entry.get('kind')} since {entry.get('since')}, the last {entry.get('last')}"
    elif event == "carried":
        text = f"segment {entry.get('segment')}, signed by agent {entry.get('agent')}"
    else:
        text = str(entry.get("note", ""))
    return visible(f"{entry.get('n')} {time} {event} {command} {text}")


def _signers(entry: dict[str, JSON]) -> str:
    signers = entry.get("signers")
    return ", ".join(str(one) for one in signers) if isinstance(signers, list) else "?"


def _operations(value: JSON) -> str:
    if not isinstance(value, list):
        return "?"
    return "; ".join(
        f"{one.get('module')} {json.dumps(one.get('parameters'))}" for one in value if isinstance(one, dict)
    )
