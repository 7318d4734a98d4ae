"""The module's settings: the table ``[persistent.fswatch]`` of the agent's configuration."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mig_core.domain.document import kind_of
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

TABLE = "persistent.fswatch"
METHODS = ("auto", "fanotify", "inotify")
MAX_PATHS = 10_000
_LIMITS = {
    "hash_up_to_mb": (0, 1 << 20),
    "max_files": (1, 100_000_000),
    "keep_changes": (0, 1_000_000),
    "queue_events": (1000, 10_000_000),
}
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SHORTEST_RESCAN = 60


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
    known = Settings.__dataclass_fields__
    values: dict[str, object] = {}
    for key, value in config.items():
        if key not in known:
            close = next(iter(difflib.get_close_matches(key, known, n=1)), "")
            hint = f"did you mean {close}?" if close else f"known keys: {', '.join(known)}"
            raise ConfigurationError("", f"{TABLE}.{key[:80]}", "is not a known key", next_step=hint)
        values[key] = _value(key, value)
    return Settings(**values)  # type: ignore[arg-type]  # _value has checked each one's type


def _value(key: str, value: JSON) -> object:
    if key in ("paths", "more_paths", "exclude"):
        return _paths(key, value)
    if key in _LIMITS:
        minimum, maximum = _LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int):
            _refuse(key, f"must be a whole number, got {kind_of(value)}")
        if not minimum <= value <= maximum:
            _refuse(key, f"must be from {minimum} to {maximum}, got {value}")
        return value
    if not isinstance(value, str):
        _refuse(key, f"must be a string, got {kind_of(value)}")
    if key == "method" and value not in METHODS:
        _refuse(key, f"must be one of {', '.join(METHODS)}, got {value!r:.40}")
    if key == "baseline" and len(value) > 200:
        _refuse(key, f"has {len(value)} characters, at most 200 are accepted")
    return _rescan(value) if key == "rescan" else value


def _rescan(value: str) -> int:
    if value in ("never", "0"):
        return 0
    found = _DURATION.fullmatch(value)
    if found is None:
        _refuse("rescan", f'must be a duration like "24h", or "never", got {value!r:.40}')
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds < SHORTEST_RESCAN:
        _refuse("rescan", f"must be at least {SHORTEST_RESCAN} seconds, got {value!r:.40}")
    return seconds


def _paths(key: str, value: JSON) -> tuple[str, ...]:
    if not isinstance(value, list):
        _refuse(key, f"must be a list of absolute paths, got {kind_of(value)}")
    if len(value) > MAX_PATHS:
        _refuse(key, f"has {len(value)} entries, at most {MAX_PATHS} are accepted")
    if key == "paths" and not value:
        _refuse(key, "must name a path; leave it out for the usual places")
    found = []
    for index, one in enumerate(value):
        if not isinstance(one, str) or not one.startswith(("/",) if key == "exclude" else ("/", "~/")):
            _refuse(f"{key}[{index}]", f"must be an absolute path, got {one!r:.80}")
        if "\0" in one or len(one) > 4096 or ".." in one.split("/"):
            _refuse(f"{key}[{index}]", f"must be a path without '..', got {one!r:.80}")
        parts = [part for part in one.split("/") if part not in ("", ".", "~")]
        found.append(("~/" if one.startswith("~") else "/") + "/".join(parts))
    return tuple(found)


def _refuse(key: str, problem: str) -> NoReturn:
    raise ConfigurationError("", f"{TABLE}.{key}", problem)
