"""``mig action repeat ACTION``: asks again what was asked."""

from __future__ import annotations

import inspect
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import ask_options
from mig_core.cli.results import ActionArgument

if TYPE_CHECKING:
    from mig_core.client.connection import Connection
    from mig_core.domain.action import Action


def repeat(**arguments: Any) -> int:
    """Ask again what an action asked: the same operations, to the same target unless another is given."""
    from mig_core.cli import exit_codes
    from mig_core.cli.ask import ask_action
    from mig_core.client.compose import compose_action
    from mig_core.client.connection import connect

    options = ask_options.chosen(arguments)
    noanswer, fresh = arguments["noanswer"], arguments["new_agents"]
    if noanswer and fresh:
        raise typer.BadParameter("--noanswer are agents that were asked, --new-agents those that were not: give one")
    connection = connect()
    identifier = connection.client.action_id(arguments["action"])
    former = _former(connection, identifier, yes=options.yes)
    if former is None:
        return exit_codes.REFUSED
    target = options.target(former.target, connection.settings.macros) if options.targets else former.target
    if noanswer:
        target = f"({target}) AND noanswer('{identifier}')" if options.targets else f"noanswer('{identifier}')"
    elif fresh:
        asked = " OR ".join(f"{one}('{identifier}')" for one in ("found", "notfound", "noanswer"))
        target = f"({target}) AND NOT ({asked})"
    if options.narrowing:
        target = f"({target}) AND {options.narrowing}"
    action = compose_action(
        former.operations,
        name=arguments["ask_name"] or former.name,
        target=target,
        expiry=options.expiry or connection.settings.expiry,
        description=former.description,
        threat=former.threat,
    )
    return ask_action(action, options, connection)


def _former(connection: Connection, identifier: str, *, yes: bool) -> Action | None:
    """What was asked, out of the bytes that were signed; None when a person does not want to sign it again.

    What the platform keeps could be another question than was asked: the signatures say whether it is that one.
    """
    from mig_core.cli.known_keys import known_keyring
    from mig_core.cli.signing_view import show_content
    from mig_core.cli.terminal import YELLOW, confirm, note
    from mig_core.client.proofs import check_question
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.action import read_action
    from mig_core.domain.envelope import envelope_from_json

    document = connection.client.action(identifier)
    with tempfile.TemporaryDirectory(prefix="mig-repeat-") as home:
        keyring = known_keyring(connection.settings.gnupg_home, document["signers"], Path(home))
        checked = check_question(document, keyring)
    envelope = envelope_from_json(document["envelope"], expected_type=envelopes.ACTION)
    content = read_action(envelope.payload)
    if content.id != identifier:
        note("the platform gave another question than was asked for; nothing is asked", YELLOW)
        return None
    if not checked.signed_by:
        note("none of those who signed this question is in your GnuPG: nobody vouches for what it asks", YELLOW)
        show_content(envelope, connection.client.evaluate(content.target))
        if not yes and not (sys.stdin.isatty() and confirm("Ask it with your own signature?")):
            note("nothing is asked; --yes asks it all the same")
            return None
    return content


_PARAMETERS = [
    inspect.Parameter("action", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ActionArgument),
    inspect.Parameter(
        "noanswer",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--noanswer", help="Only agents that were asked and did not succeed")],
    ),
    inspect.Parameter(
        "new_agents",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--new-agents", help="Only agents that were not asked then")],
    ),
    *ask_options.option_parameters(),
]
repeat.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # what typer reads
repeat.__annotations__ = {one.name: one.annotation for one in _PARAMETERS}
