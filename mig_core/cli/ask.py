"""From a question to its answers: compose, show, sign, send."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from mig_core.cli import exit_codes
from mig_core.cli.clock import clock_warning
from mig_core.cli.formats import Format
from mig_core.cli.terminal import BLUE, YELLOW, confirm, data, note
from mig_core.client.connection import Connection, connect
from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.cli.answers import AnswerPrinter
    from mig_core.cli.ask_options import AskOptions
    from mig_core.cli.following import Following
    from mig_core.cli.row_options import RowOptions
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
    if options.sign_only:
        envelope = connection.signer.sign(unsigned)
        data(json.dumps(envelope.to_json(), indent=2))
        return exit_codes.ALL_ANSWERED
    envelope = connection.signed(unsigned)
    following = options.following if printer is None else replace(options.following, rows=None, printer=printer)
    return follow_action(connection.sent(envelope), following, connection, detach=options.detach)


def send_envelope(envelope: Envelope, following: Following, connection: Connection, *, detach: bool) -> int:
    """Sends what was signed somewhere, and waits for answers; returns the exit status."""
    return follow_action(connection.client.create_action(envelope), following, connection, detach=detach)


def follow_action(document: dict[str, Any], following: Following, connection: Connection, *, detach: bool) -> int:
    """Waits for the answers to an action, as the API says it has just begun; returns the exit status."""
    warning = clock_warning(connection.client.clock_ahead)
    if warning:
        note(warning, YELLOW)
    if document["state"] == "pending":
        return _pending(document)
    if detach:
        data(document["id"])
        return exit_codes.ALL_ANSWERED
    if following.format is Format.TEXT:
        note(f"action {document['id']}", BLUE)
    from mig_core.cli.following import follow  # while the agents answer

    return follow(connection.client, document, following)


def _check_rows(action: Action, rows: RowOptions, connection: Connection) -> None:
    """A column that there is not is said before anybody is asked."""
    from mig_core.cli.row_output import chosen_rows

    operations = [{"module": one.module} for one in action.operations]
    chosen_rows(connection.client, {"id": action.id, "operations": operations}, rows)


def target_of(options: AskOptions, connection: Connection) -> str:
    """The target that was given, or the settings' own; macros written out."""
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
    note(f"the answers then: mig action follow {document['id']}")
    return exit_codes.INCOMPLETE
