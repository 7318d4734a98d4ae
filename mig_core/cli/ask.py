"""From a question to its last answer: sign, send, follow, print.

The first Ctrl-C stops watching and prints what there is; the question goes on, and ``mig action follow ID`` comes back
to it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes, tables
from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.clock import clock_warning
from mig_core.cli.formats import Format
from mig_core.cli.terminal import BLUE, RED, YELLOW, Progress, confirm, data, note
from mig_core.client.connection import Connection, connect
from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.cli.ask_options import AskOptions
    from mig_core.cli.formats import Show
    from mig_core.cli.row_options import RowOptions
    from mig_core.client.client import MigClient
    from mig_core.domain.action import Action, Operation

_SHOWN_AGENTS = 20


def ask_operations(operations: Sequence[Operation], options: AskOptions) -> int:
    """Asks the fleet; returns the exit status."""
    from mig_core.client.compose import compose_action

    connection = connect()
    action = compose_action(
        operations,
        name=options.name,
        target=target_of(options, connection),
        expiry=options.expiry or connection.settings.expiry,
    )
    return ask_action(action, options, connection)


def ask_action(
    action: Action, options: AskOptions, connection: Connection, printer: AnswerPrinter | None = None
) -> int:
    """Asks an action that is not signed yet. ``printer`` prints the answers; None: as every question's."""
    unsigned = Envelope(envelopes.ACTION, action.to_payload())
    if options.dry_run:
        return _dry_run(action, unsigned, connection)
    if options.rows is not None and not options.sign_only:
        _check_rows(action, options.rows, connection)
    if not options.sign_only and not _agreed(action, options, connection):
        return exit_codes.ERROR
    envelope = connection.signer.sign(unsigned)
    if options.sign_only:
        data(json.dumps(envelope.to_json(), indent=2))
        return exit_codes.ALL_ANSWERED
    document = connection.client.create_action(envelope)
    warning = clock_warning(connection.client.clock_ahead)
    if warning:
        note(warning, YELLOW)
    if document["state"] == "pending":
        return _pending(document)
    if options.detach:
        data(document["id"])
        return exit_codes.ALL_ANSWERED
    if options.format is Format.TEXT:
        note(f"action {document['id']}", BLUE)
    if options.rows is not None and printer is None:
        return _follow_rows(connection.client, document, options)
    return follow(
        connection.client, document, options.show, options.format, exit_found=options.exit_found, printer=printer
    )


def follow(
    client: MigClient,
    action: dict[str, Any],
    show: Show,
    output: Format,
    *,
    exit_found: bool = False,
    printer: AnswerPrinter | None = None,
) -> int:
    """Prints answers as they arrive until the action has ended; returns the exit status."""
    printer = printer or AnswerPrinter([one["module"] for one in action["operations"]], show, output)
    progress = Progress()
    started = time.monotonic()
    interrupted = False
    try:
        for event in client.follow(action["id"]):
            if event.kind == "command":
                progress.clear()
                printer.print(event.data)
            else:
                action = event.data
            progress.show(_progress(action))
    except KeyboardInterrupt:
        interrupted = True
    progress.clear()
    printer.finish(action)
    if interrupted:
        return _interrupted(action)
    if tables.cancelled(action):
        note(tables.cancelled(action), YELLOW)
    if output is Format.TEXT:
        note(f"{_counts(action)}, in {time.monotonic() - started:.1f} s")
    return _status(action, exit_found=exit_found)


def _check_rows(action: Action, rows: RowOptions, connection: Connection) -> None:
    """A column that there is not is said before anybody is asked."""
    from mig_core.cli.row_output import chosen_rows

    operations = [{"module": one.module} for one in action.operations]
    chosen_rows(connection.client, {"id": action.id, "operations": operations}, rows)


def _follow_rows(client: MigClient, action: dict[str, Any], options: AskOptions) -> int:
    """Waits for the answers, and has the platform make rows of them; what leads the stack is shown meanwhile."""
    from mig_core.cli.row_output import Leader, print_rows

    assert options.rows is not None
    progress, interrupted = Progress(), False
    leader = Leader(client, action, options.rows, shown=sys.stderr.isatty())
    try:
        for event in client.follow(action["id"]):
            if event.kind != "command":
                action = event.data
            progress.show(_progress(action) + leader.text())
    except KeyboardInterrupt:
        interrupted = True
    progress.clear()
    print_rows(client, action, options.rows)
    return _interrupted(action) if interrupted else _status(action, exit_found=options.exit_found)


def _interrupted(action: dict[str, Any]) -> int:
    note(f"stopped watching; the question goes on: mig action follow {action['id']}", YELLOW)
    return exit_codes.INTERRUPTED


def target_of(options: AskOptions, connection: Connection) -> str:
    """Whom to ask: as chosen, or the settings' own target."""
    settings = connection.settings
    if not options.targets and options.format is Format.TEXT:
        note(f"no target given (-t), asking: {settings.target}")
    expanded = options.target(settings.target, settings.macros)
    return f"({expanded}) AND {options.narrowing}" if options.narrowing else expanded


def _agreed(action: Action, options: AskOptions, connection: Connection) -> bool:
    """Whether the question may go out: it may, unless a person at a terminal says no to a large one."""
    if options.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    count = connection.client.evaluate(action.target)["count"]
    if count <= connection.settings.confirm_above:
        return True
    return confirm(f"Ask {count} agents?")


def _dry_run(action: Action, unsigned: Envelope, connection: Connection) -> int:
    data(unsigned.payload.decode("utf-8"))
    evaluated = connection.client.evaluate(action.target)
    count = evaluated["count"]
    note(f"would be asked: {count} {'agent' if count == 1 else 'agents'}", BLUE)
    for agent in evaluated["agents"][:_SHOWN_AGENTS]:
        note(f"  {agent['name']} ({agent['state']})")
    if count > _SHOWN_AGENTS:
        note(f"  … and {count - _SHOWN_AGENTS} more")
    for line in connection.client.weights(unsigned, connection.signer.fingerprint):
        note(line)
    return exit_codes.ALL_ANSWERED


def _pending(document: dict[str, Any]) -> int:
    note(f"action {document['id']} waits for more signatures:", YELLOW)
    for need in document["needed"]:
        note(f"  module {need['module']} needs weight {need['minimum']}, has {need['have']}")
    note(f"another investigator can add one: mig action approve {document['id']}")
    return exit_codes.ALL_ANSWERED


def _progress(action: dict[str, Any]) -> str:
    done = sum(count for state, count in action["counts"].items() if state not in ("queued", "sent"))
    suffix = ", cancelled" if action.get("cancelled") else ""
    return f"{done} of {action['targeted']} answered, {action['found']} found{suffix}"


def _counts(action: dict[str, Any]) -> str:
    parts = [f"{count} {state}" for state, count in _ordered(action["counts"]) if count]
    total = action["targeted"]
    if not total:
        return action["reason"] or "no agent was asked"
    return f"{total} asked: {', '.join(parts)}"


def _ordered(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    order = ("success", "failed", "refused", "timeout", "killed", "cancelled", "expired", "sent", "queued")
    for state in order:
        if state in counts:
            yield state, counts[state]


def _status(action: dict[str, Any], *, exit_found: bool) -> int:
    counts = {state: count for state, count in action["counts"].items() if count}
    if exit_found:
        return exit_codes.ALL_ANSWERED if action["found"] else exit_codes.ERROR
    if counts and set(counts) == {"refused"}:
        return exit_codes.REFUSED
    if not counts:
        note("no agent matches the target; see: mig agents", RED)
        return exit_codes.INCOMPLETE
    return exit_codes.ALL_ANSWERED if set(counts) == {"success"} else exit_codes.INCOMPLETE
