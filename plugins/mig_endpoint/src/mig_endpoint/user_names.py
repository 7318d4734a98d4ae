"""The name of an account by its number, as this endpoint's name services have it (getpwuid(3))."""

from __future__ import annotations

from functools import lru_cache

REMEMBERED = 10_000
"""Numbers whose name is not asked for again within a run."""


@lru_cache(maxsize=REMEMBERED)
def user_name(number: int) -> str:
    """The account's name, or the number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
