"""What shells complete: shtab writes it for programs of argparse, typer for its own."""

from __future__ import annotations

import shtab
from packages.manual import parser_of
from typer._completion_shared import get_completion_script

PLACES = {
    "bash": "usr/share/bash-completion/completions/{program}",
    "zsh": "usr/share/zsh/vendor-completions/_{program}",
    "fish": "usr/share/fish/vendor_completions.d/{program}.fish",
}
TYPER = {"mig": True, "mig-admin": False, "mig-console": False}
"""Programs of typer, and whether they complete by themselves, when asked."""


def completions(program: str, target: str) -> dict[str, str]:
    """Path below ``/`` -> text, for each shell; nothing for a program that has nothing to complete."""
    if not TYPER.get(program, True):
        return {}
    if program in TYPER:
        variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
        texts = {
            shell: get_completion_script(prog_name=program, complete_var=variable, shell=shell) + "\n" for shell in PLACES
        }
    else:
        parser = parser_of(target)
        if parser is None:
            return {}
        texts = {shell: shtab.complete(parser, shell=shell) for shell in PLACES}
    return {place.format(program=program): texts[shell] for shell, place in PLACES.items()}
