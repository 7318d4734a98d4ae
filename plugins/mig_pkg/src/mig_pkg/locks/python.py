"""Lock files of Pipenv (JSON), and of Poetry, PDM, uv and PEP 751 (TOML, a table for each package)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = ("editable", "virtual", "directory", "workspace")
"""Sources of uv's that are the project itself, or a part of it."""


def pipenv(text: str) -> Iterator[tuple[str, str]]:
    """``Pipfile.lock``: every category but its own ``_meta``."""
    lock = json.loads(text)
    if not isinstance(lock, dict) or "_meta" not in lock:
        raise ValueError("no _meta")
    for category, packages in lock.items():
        for name, entry in packages.items() if category != "_meta" and isinstance(packages, dict) else ():
            version = entry.get("version") if isinstance(entry, dict) else None
            if isinstance(version, str):
                yield name, version.removeprefix("==").removeprefix("=")


def tables(text: str) -> Iterator[tuple[str, str]]:
    """``poetry.lock``, ``pdm.lock``, ``uv.lock`` (``package``) and ``pylock.toml`` (``packages``)."""
    import tomllib  # takes 5 ms, and few questions are about lock files

    lock = tomllib.loads(text)
    packages = lock.get("package", lock.get("packages", []))
    for entry in packages if isinstance(packages, list) else ():
        if not isinstance(entry, dict) or _is_own(entry):
            continue
        name, version = entry.get("name"), entry.get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield name, version


def _is_own(entry: dict[str, object]) -> bool:
    source = entry.get("source")
    return "directory" in entry or (isinstance(source, dict) and any(kind in source for kind in OWN))
