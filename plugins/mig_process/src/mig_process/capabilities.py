"""The names of capabilities in a set as ``/proc/PID/status`` writes it. Source: capabilities(7),
``include/uapi/linux/capability.h`` (Linux 6.18).
"""

from __future__ import annotations

NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
ALL = "all"
"""Stands for every capability that the kernel has."""


def names_of(text: str, last: int) -> list[str]:
    """The names in a set, :data:`ALL` alone if it has every one.

    Args:
        text: hexadecimal, as behind ``CapEff:``.
        last: the number of the last capability that the kernel has, from ``/proc/sys/kernel/cap_last_cap``.

    Raises:
        ValueError: the text is no number.
    """
    bits = int(text, 16)
    if bits == (1 << (last + 1)) - 1:
        return [ALL]
    return [NAMES[place] if place < len(NAMES) else str(place) for place in range(64) if bits >> place & 1]


def last_capability() -> int:
    """The number of the last capability that this kernel has; the last one known here where it does not say."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return len(NAMES) - 1
