"""``Cargo.lock``, and ``go.sum``, which has a line for each module whose code was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cargo(text: str) -> Iterator[tuple[str, str]]:
    """The crates with a source; those without are the workspace's own."""
    import tomllib  # as in ``python``

    packages = tomllib.loads(text).get("package", [])
    for entry in packages if isinstance(packages, list) else ():
        if isinstance(entry, dict) and entry.get("source"):
            name, version = entry.get("name"), entry.get("version")
            if isinstance(name, str) and isinstance(version, str):
                yield name, version


def go(text: str) -> Iterator[tuple[str, str]]:
    """The modules whose code was loaded; of others only the ``go.mod`` was (``v1.2.3/go.mod``).

    Raises:
        ValueError: a line is none of a ``go.sum``.
    """
    for line in text.splitlines():
        words = line.split()
        if words and (len(words) != 3 or not words[2].startswith("h1:")):
            raise ValueError(f"{line!r:.80} is no line of a go.sum")
        if words and not words[1].endswith("/go.mod"):
            yield words[0], words[1]
