"""Why a process, or something of it, was not looked at."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

DENIED_UNPRIVILEGED = Reason("process of somebody else: reading it needs root or CAP_SYS_PTRACE")
DENIED = Reason("process that may not be read, not even with CAP_SYS_PTRACE")
TROUBLE = Reason("process that could not be looked at")
HIDDEN = Reason("proc is mounted with hidepid, so processes of others are not even listed")
COVERED = Reason("process hidden by a mount over its folder in /proc: looking behind it needs CAP_SYS_ADMIN")
ENDED = Reason("process that ended while being looked at", as_asked=True)
STARTED = Reason("process that started, or became another program, while the search ended", as_asked=True)
RESTLESS = Reason("process that becomes another program faster than it can be looked at")

UNREADABLE = Reason("range of memory that could not be read")
UNTOUCHED = Reason(
    "KiB that the process has not touched, of files and shared memory that others may have filled: "
    "looking there needs CAP_CHECKPOINT_RESTORE"
)
SECRET = Reason("KiB of secret memory, which the kernel lets nobody else read")
REMOTE = Reason("KiB of mapped files, not in memory, on a file system that does not answer")
SWAPPED = Reason("KiB in swap, left there: bringing them back could end a process that is at its memory limit")
UNKNOWN = Reason("KiB of which the kernel does not say whether they are in memory")
DEVICE = Reason("mapping of a device", as_asked=True)
KERNEL = Reason("KiB that the kernel maps into every process", as_asked=True)
ON_DISK = Reason("KiB that are as in the file they were mapped from", as_asked=True)
