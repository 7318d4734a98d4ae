"""Names of users and groups, remembered for a while.

A look-up may ask a directory in the network and wait for it. It happens in the thread that makes events, never in the
one that reads; while it waits, records gather in the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON

KEPT = 4096
"""Names, and combinations of them, that are remembered."""
SECONDS = 300.0
UNSET = 4294967295

USER_KEYS = ("auid", "uid", "euid", "suid", "fsuid")
GROUP_KEYS = ("gid", "egid", "sgid", "fsgid")


class Accounts:
    """Gives ids their names."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` counts seconds."""
        self._clock = clock
        self._names: dict[tuple[str, int], str | None] = {}
        self._combined: dict[tuple[str, ...], dict[str, JSON]] = {}
        self._until = clock() + SECONDS

    def user(self, uid: int) -> str | None:
        """A user's name; None when there is none."""
        return self._name("user", uid)

    def group(self, gid: int) -> str | None:
        """A group's name; None when there is none."""
        return self._name("group", gid)

    def combined(self, ids: tuple[str, ...]) -> dict[str, JSON]:
        """All ids of a SYSCALL record with their names: in the order of ``USER_KEYS`` and ``GROUP_KEYS``.

        The dictionary is shared between events: do not change it.

        Raises:
            ValueError: an id is no number.
        """
        known = self._combined.get(ids)
        if known is not None and self._clock() < self._until:
            return known
        made: dict[str, JSON] = {}
        for key, text in zip(USER_KEYS + GROUP_KEYS, ids, strict=True):
            self.put(made, key, int(text))
        if len(self._combined) >= KEPT:
            self._combined.clear()
        self._combined[ids] = made
        return made

    def put(self, into: dict[str, JSON], key: str, number: int) -> None:
        """Adds an id and, where there is one, its name: ``uid`` and ``uid_name``. An unset id is null."""
        into[key] = None if number == UNSET else number
        if number != UNSET:
            name = self.group(number) if key.endswith("gid") else self.user(number)
            if name is not None:
                into[f"{key}_name"] = name

    def _name(self, kind: str, number: int) -> str | None:
        now = self._clock()
        if now >= self._until or len(self._names) >= KEPT:
            self._names.clear()
            self._combined.clear()
            self._until = now + SECONDS
        if (kind, number) not in self._names:
            self._names[kind, number] = _look_up(kind, number)
        return self._names[kind, number]


def _look_up(kind: str, number: int) -> str | None:
    import grp
    import pwd

    try:
        return pwd.getpwuid(number).pw_name if kind == "user" else grp.getgrgid(number).gr_name
    except (KeyError, OverflowError, OSError):
        return None
