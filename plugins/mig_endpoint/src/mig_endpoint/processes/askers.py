"""Who handles the question: processes that have it in their memory and on their command lines, and are no answer to
it.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Askers(NamedTuple):
    """The processes that handle the question."""

    own: int
    """This process, as /proc numbers it."""
    others: frozenset[int]
    """See :func:`find_askers`."""


def own_id() -> int:
    """The id of this process in the PID namespace of this /proc, which need not be its own."""
    return int(os.readlink("/proc/self"))


def find_askers(ids: list[int]) -> Askers:
    """Who handles the question: this process, its ancestors, and processes forked from the same one.

    That is the agent with its zygote; or mig, sudo and the shell into which the question was typed. Process 1 counts
    only if it runs the same program, as where the agent is the first process of a container. A sibling counts if its
    command line is ours to the byte: it was forked by the same zygote, for another question.

    Args:
        ids: processes among which siblings are looked for.
    """
    own = own_id()
    others = set[int]()
    parent = _parent(own)
    program, arguments = _link("self"), _arguments("self")
    if arguments and parent > 1:
        others.update(pid for pid in ids if _parent(pid) == parent and _arguments(str(pid)) == arguments)
    ancestor = parent
    while ancestor > 1 and ancestor not in others:
        others.add(ancestor)
        ancestor = _parent(ancestor)
    if ancestor == 1 and program and _link("1") == program:
        others.add(1)
    return Askers(own, frozenset(others - {own}))


def _parent(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _arguments(pid: str) -> bytes:
    try:
        return _read(f"/proc/{pid}/cmdline")
    except OSError:
        return b""


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 1 << 16)
    finally:
        os.close(file)


def _link(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
