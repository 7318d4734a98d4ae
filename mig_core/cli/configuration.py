"""``mig config init|show``: finds the GnuPG key, asks for the API, writes the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli import tables
from mig_core.cli.terminal import data, note
from mig_core.client.connection import connect, settings_path
from mig_core.errors import ConfigurationError
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.pgp.base import KeyInfo

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Write or show this investigator's settings.",
)


@app.command("init")
def init(
    api: Annotated[str, typer.Option("--api", help="Base URL of mig-api, like https://mig.example.net")] = "",
    key: Annotated[str, typer.Option("--key", help="Fingerprint of the key to sign with")] = "",
    gnupg_home: Annotated[Path | None, typer.Option("--gnupg-home", help="If it is not GnuPG's own default")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite settings that are there")] = False,
) -> None:
    """Write the settings; asks for what is not given."""
    from mig_core.pgp.gnupg import secret_keys

    path = settings_path()
    if path.exists() and not force:
        raise ConfigurationError(str(path), "", "exists already", next_step="--force overwrites it")
    chosen = _choose_key(secret_keys(gnupg_home), key)
    api = api or _ask("Base URL of mig-api (like https://mig.example.net): ", "--api")
    if not api.startswith(("https://", "http://")):
        raise ConfigurationError("--api", "api", f"must begin with https:// or http://, got {api!r:.80}")
    lines = [f'api = "{_toml(api)}"', f'fingerprint = "{chosen.fingerprint}"']
    if gnupg_home is not None:
        lines.append(f'gnupg_home = "{_toml(str(gnupg_home.absolute()))}"')
    lines += ["", "[macros]", "online = \"status='online'\"", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    data(str(path))
    note(f"signing with {chosen.fingerprint} {visible(', '.join(chosen.user_ids))}")


@app.command("show")
def show() -> None:
    """The settings in force, after file and environment."""
    settings = connect().settings
    tables.facts((name, getattr(settings, name)) for name in settings.__dataclass_fields__)


def _choose_key(keys: Sequence[KeyInfo], wanted: str) -> KeyInfo:
    usable = [one for one in keys if not one.revoked]
    if wanted:
        plain = wanted.replace(" ", "").upper().removeprefix("0X")
        usable = [one for one in usable if one.fingerprint.endswith(plain)]
    if not usable:
        raise ConfigurationError(
            "GnuPG",
            "",
            "has no usable secret key",
            next_step="make one: gpg --quick-generate-key 'Your Name <you@example.net>'",
        )
    if len(usable) == 1:
        return usable[0]
    for number, one in enumerate(usable, start=1):
        note(f"{number}: {one.fingerprint} {one.algorithm} {visible(', '.join(one.user_ids))}")
    answer = _ask("Which key signs? Number: ", "--key")
    if answer.isdecimal() and 1 <= int(answer) <= len(usable):
        return usable[int(answer) - 1]
    raise ConfigurationError("--key", "fingerprint", f"{answer!r:.40} is none of the numbers above")


def _ask(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError(option, "", "is missing, and there is no terminal to ask at")
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _toml(text: str) -> str:
    if not text.isprintable():
        raise ConfigurationError("settings", "", f"contains control characters: {text!r:.80}")
    return text.replace("\\", "\\\\").replace('"', '\\"')
