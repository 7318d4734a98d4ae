"""Checks that the declared parameters of several modules share; ``Parameter(check=…)`` takes them."""

from __future__ import annotations


def absolute_path(path: str) -> None:
    """A path from the root, as :func:`os.fsdecode` gives it.

    Raises:
        ValueError: it is none; says why.
    """
    if not path.startswith("/"):
        raise ValueError(f"{path!r:.80} must be an absolute path")
    if "\0" in path:
        raise ValueError("contains a NUL character, which no path can")
    path.encode("utf-8", "surrogateescape")


def absolute_path_or_none(path: str) -> None:
    """The same, or an empty text.

    Raises:
        ValueError: it is neither; says why.
    """
    if path:
        absolute_path(path)
