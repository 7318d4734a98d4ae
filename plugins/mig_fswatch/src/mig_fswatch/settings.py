"""The module's settings: the table ``[persistent.fswatch]`` of the agent's configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError
from mig_core.plugin.parameters import Parameters
from mig_core.plugin.settings import number, read_table, setting, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

TABLE = "persistent.fswatch"
METHODS = ("auto", "fanotify", "inotify")
MAX_PATHS = 10_000
MAX_BASELINE = 200
SHORTEST_RESCAN = 60
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _check_place(text: str) -> None:
    _check_path(text, ("/", "~/"))


def _check_excluded(text: str) -> None:
    _check_path(text, ("/",))


def _check_path(text: str, beginnings: tuple[str, ...]) -> None:
    if not text.startswith(beginnings):
        raise ValueError(f"must be an absolute path, got {text!r:.80}")
    if "\0" in text or ".." in text.split("/"):
        raise ValueError(f"must be a path without '..', got {text!r:.80}")


def _seconds(text: str) -> int:
    if text in ("never", "0"):
        return 0
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f'must be a duration like "24h", or "never", got {text!r:.40}')
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds < SHORTEST_RESCAN:
        raise ValueError(f"must be at least {SHORTEST_RESCAN} seconds, got {text!r:.40}")
    return seconds


DECLARED = Parameters(
    texts("paths", "what is watched: files, and directories with all below them", check=_check_place, most=MAX_PATHS),
    texts("more_paths", "what is watched besides", check=_check_place, most=MAX_PATHS),
    texts("exclude", "what is left out, with all below it", check=_check_excluded, most=MAX_PATHS),
    setting("method", "how changes are seen", choices=METHODS),
    number("hash_up_to_mb", "larger files are not hashed", 0, 1 << 20),
    number("max_files", "more entries than that are not watched, and it is said", 1, 100_000_000),
    setting("rescan", "time between comparisons of everything with the baseline", check=_seconds),
    number("queue_events", "events of the kernel that wait in memory", 1000, 10_000_000),
    number("keep_changes", "changes that can be asked for", 0, 1_000_000),
    setting("baseline", "another text than before makes the baseline anew", max_length=MAX_BASELINE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the table may say."""

    paths: tuple[str, ...] | None = None
    """Files and directories (with all below them), perhaps with wildcards; None: the usual places."""
    more_paths: tuple[str, ...] = ()
    """Besides those."""
    exclude: tuple[str, ...] = ()
    """Paths, perhaps with wildcards, that are left out with all below them."""
    method: str = "auto"
    """``auto``: fanotify where it can be had, else inotify."""
    hash_up_to_mb: int = 256
    """Larger files are not hashed: size and times tell whether they changed."""
    max_files: int = 1_000_000
    """More entries than that are not watched, and it is said."""
    rescan: int = 86_400
    """Seconds between comparisons of everything with the baseline; 0: none but those that are needed."""
    queue_events: int = 200_000
    """Events of the kernel that wait in memory (about 60 MB when full); with more, everything is compared."""
    keep_changes: int = 10_000
    """Changes that can be asked for."""
    baseline: str = ""
    """Any text; another one than before makes the baseline anew."""


def read(config: Mapping[str, JSON]) -> Settings:
    """The settings in the table; pure.

    Raises:
        ConfigurationError: names the key's path.
    """
    given = read_table(DECLARED, config, path=TABLE).given_values()
    if given.get("paths") == ():
        raise ConfigurationError("", f"{TABLE}.paths", "must name a path; leave it out for the usual places")
    for key in given.keys() & {"paths", "more_paths", "exclude"}:
        given[key] = tuple(map(_tidied, given[key]))
    if "rescan" in given:
        given["rescan"] = _seconds(given["rescan"])
    return Settings(**given)


def _tidied(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".", "~")]
    return ("~/" if path.startswith("~") else "/") + "/".join(parts)
