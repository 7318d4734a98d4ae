"""The names of capabilities in a set as ``/proc/PID/status`` writes it (proc_pid_status(5))."""

from __future__ import annotations

from functools import lru_cache

from mig_endpoint.capabilities import NAMES, capability_name

ALL = "all"
"""Stands for every capability that the kernel has."""


@lru_cache(maxsize=256)
def names_of(text: str, last: int) -> tuple[str, ...]:
    """The names in a set, :data:`ALL` alone if it has every one.

    Args:
        text: hexadecimal, as behind ``CapEff:``.
        last: the number of the last capability that the kernel has, from ``/proc/sys/kernel/cap_last_cap``.

    Raises:
        ValueError: the text is no number.
    """
    bits = int(text, 16)
    if bits == (1 << (last + 1)) - 1:
        return (ALL,)
    return tuple(capability_name(place) for place in range(64) if bits >> place & 1)


def last_capability() -> int:
    """The number of the last capability that this kernel has; the last one known here where it does not say."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return len(NAMES) - 1
