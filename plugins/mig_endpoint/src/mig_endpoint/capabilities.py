"""The kernel's capabilities. Source: capabilities(7), ``include/uapi/linux/capability.h`` (Linux 6.18)."""

from __future__ import annotations

# fmt: off
NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)
# fmt: on
"""In the order of their numbers, without ``cap_``."""


def capability_name(number: int) -> str:
    """A capability's name; the number as text where it is newer than this list."""
    return NAMES[number] if number < len(NAMES) else str(number)
