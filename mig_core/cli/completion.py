"""What the shell offers while a word is typed: agents, actions, macros, keys of targets.

It must be quick and silent: it asks the platform with a session of an earlier command only, never for a passphrase, and
offers nothing when anything goes wrong. Shells *evaluate* what is offered (zsh with ``eval``), and names come from
endpoints: only words and notes of harmless characters are given out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.client.client import MigClient
    from mig_core.config.client import ClientSettings

MOST = 50
_HARMLESS = re.compile(r"[\w.@+-]{1,255}", re.ASCII)
_HARMFUL = re.compile(r"[^\w .,/@%=+-]", re.ASCII)
_PLAIN = re.compile(r"[\w.-]{0,100}", re.ASCII)
_WORD = re.compile(r"[\w.-]*\Z", re.ASCII)


def complete_action(incomplete: str) -> list[tuple[str, str]]:
    """Ids of actions, the latest first, with their names."""
    client = _client()
    if client is None:
        return []
    try:
        typed = incomplete.lower() if re.fullmatch("[0-9A-Fa-f-]*", incomplete) else ""
        words = [("last", "the latest question you asked")] if "last".startswith(incomplete) else []
        if incomplete and not typed:
            return words
        found = client.actions(prefix=typed, limit=MOST)
        ids = [(str(one["id"]), _shown(str(one["name"]))) for one in found]
        return words + [(word, text) for word, text in ids if _HARMLESS.fullmatch(word)]
    except Exception:  # nothing may disturb the line that is typed
        return []


def complete_agent(incomplete: str) -> list[tuple[str, str]]:
    """Names of agents."""
    client = _client()
    if client is None or not _PLAIN.fullmatch(incomplete):
        return []
    try:
        target = f"name LIKE '{incomplete.replace('_', chr(92) + '_')}%'" if incomplete else ""
        found = client.agents(target=target, limit=MOST)
        return [(name, _shown(str(one["state"]))) for one in found if _HARMLESS.fullmatch(name := str(one["name"]))]
    except Exception:  # nothing may disturb the line that is typed
        return []


def complete_target(incomplete: str) -> list[tuple[str, str]]:
    """Macros, keys of targets, and names of agents; of an expression its last word."""
    from mig_core.domain.target import names

    word = _WORD.search(incomplete)[0]  # type: ignore[index]  # an empty word is one
    before = incomplete.removesuffix(word)
    settings = _settings()
    macros = {} if settings is None else settings.macros
    offered = [(name, _shown(text)) for name, text in sorted(macros.items()) if _HARMLESS.fullmatch(name)]
    offered += [("all", "every agent"), ("local", "this machine")] if not before else []
    keys = [*names.COLUMNS, "address", "environment.", "tags.", *(f"{one}(" for one in names.FUNCTIONS)]
    offered += [(key, "") for key in keys]
    found = [(before + name, text) for name, text in offered if name.startswith(word)]
    return found if before else [*found, *complete_agent(incomplete)]


def _settings() -> ClientSettings | None:
    from mig_core.client.connection import connect

    try:
        return connect().settings
    except Exception:  # nothing may disturb the line that is typed
        return None


def _client() -> MigClient | None:
    """The API, with the session there is; None when there is none."""
    from mig_core.client.client import MigClient
    from mig_core.errors import MigError

    def no_signer() -> None:
        raise MigError("there is no session; completion asks for no passphrase")

    settings = _settings()
    return None if settings is None else MigClient(settings, no_signer)  # type: ignore[arg-type]  # never signs


def _shown(text: str) -> str:
    """A note beside a word, with nothing in it that a shell could take for a command."""
    return _HARMFUL.sub(" ", text[:60]).strip()
