"""``mig``: a question that is typed without faults is asked at once; everything else is typer's, in :mod:`.root`."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
from typing import TYPE_CHECKING

from mig_core.cli.own_commands import OWN_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Nothing of what a command imports is garbage: looking for some ever so often takes a twelfth of its start."""
_UNSIGNED = frozenset({"--help", "-h", "--dry-run", "local"})
"""Whoever types one of these signs nothing."""
_BACK = re.compile(r"-[1-9][0-9]{0,2}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit status."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        _sign_soon(typed)

    from mig_core.cli.plain_question import plain_question
    from mig_core.cli.program import obey, run

    if typed[:1] == ["-i"]:  # the original's spelling of: mig ask FILE
        typed[0] = "ask"
    typed = [
        *typed[:1],
        *(f"last-{int(word[1:]) - 1}" if _is_back(typed, at) else word for at, word in enumerate(typed) if at),
    ]
    question = plain_question(typed)
    if question is not None:
        status = obey(question, name="mig")
        if arguments is None and _UNSIGNED.isdisjoint(typed):  # whoever was asked, it was not this process
            _leave(status)
        return status
    from mig_core.cli.root import app

    return run(app, typed, name="mig")


def _sign_soon(typed: Sequence[str]) -> None:
    """Begins what signs a module's question, before the question is read."""
    if len(typed) < 2 or typed[0] in OWN_COMMANDS or not _UNSIGNED.isdisjoint(typed):
        return
    from mig_core.cli import words

    if typed[0] in words.summaries(words.MODULES):
        from mig_core.client.connection import connect
        from mig_core.client.signing_ahead import begin
        from mig_core.errors import MigError

        with contextlib.suppress(MigError):  # said when something is to be signed
            settings = connect().settings
            begin(settings.fingerprint, settings.gnupg_home)


def _leave(status: int) -> None:
    """Ends the program, once everything is written: taking the interpreter down takes longer than printing answers."""
    from mig_core.client.signing_ahead import give_up

    give_up()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # of standard output it was said
            if stream is not None:
                stream.flush()
    os._exit(status)


def _is_back(typed: Sequence[str], at: int) -> bool:
    """Whether a word is ``-2``, the question before the last one, and no option's value."""
    if typed[0] not in OWN_COMMANDS or not _BACK.fullmatch(typed[at]):
        return False
    return not typed[at - 1].startswith("-") and "--" not in typed[:at]
