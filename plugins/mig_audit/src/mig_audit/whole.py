"""Which records an event must have, and which of them did not come.

The kernel can lose single records of an event whose others arrive, its end among them; so the end alone proves nothing.
What must be there follows from the first record: ``items`` is the number of its PATH records, paths come with the
directory they begin at, every system call with PROCTITLE, and some calls with a record of their own
(``audit_log_exit`` in kernel/auditsc.c). Records that a rule of the list ``exclude`` keeps out are not missing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mig_audit import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    Missing = Callable[[tuple[int, ...], str, str, bool | None], tuple[str, ...]]

SYSCALL, URINGOP = 1300, 1336
_PATH, _SOCKADDR, _CWD, _EXECVE, _FD_PAIR, _PROCTITLE, _OPENAT2 = 1302, 1306, 1307, 1309, 1317, 1327, 1337
_NEVER_ALONE = frozenset({_PATH, _CWD, _EXECVE, _PROCTITLE})
_OF_CALL = {
    "execve": _EXECVE, "execveat": _EXECVE, "connect": _SOCKADDR, "bind": _SOCKADDR, "openat2": _OPENAT2,
    "pipe": _FD_PAIR, "pipe2": _FD_PAIR, "socketpair": _FD_PAIR,
}  # fmt: skip
"""Calls that, when they succeed, have a record of their own."""
_HIDES_PATHS = frozenset({"mq_open", "mq_unlink"})
"""Their ``items`` counts a directory that has no PATH record."""


def reader(excluded: frozenset[int] = frozenset()) -> Missing:
    """What says which records are missing, with answers remembered: the shapes of events are few.

    Args:
        excluded: types of records that may be kept out by a rule.
    """

    @lru_cache(maxsize=4096)
    def missing(kinds: tuple[int, ...], items: str, call: str, result: bool | None) -> tuple[str, ...]:
        """The names of the types.

        Args:
            kinds: the types of all records that came.
            items: the number of paths as the first record has it; empty when it does not say.
            call: the name of the system call; empty when there is no SYSCALL.
            result: whether the call succeeded.
        """
        wanted: dict[int, int] = {}
        if SYSCALL in kinds:
            wanted[_PROCTITLE] = 1
            if result and call in _OF_CALL:
                wanted[_OF_CALL[call]] = 1
        elif URINGOP not in kinds and kinds[0] in _NEVER_ALONE:
            wanted[SYSCALL] = 1
        if items.isascii() and items.isdecimal() and len(items) < 7 and int(items) and call not in _HIDES_PATHS:
            wanted[_PATH], wanted[_CWD] = int(items), 1
        lost = [kind for kind, count in sorted(wanted.items()) if kinds.count(kind) < count and kind not in excluded]
        return tuple(tables.type_name(kind) for kind in lost)

    return missing
