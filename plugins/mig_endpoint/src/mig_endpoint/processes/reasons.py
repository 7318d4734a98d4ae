"""Why a process, or something of it, was not looked at."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

DENIED_UNPRIVILEGED = Reason("process of somebody else: reading it needs root or CAP_SYS_PTRACE")
DENIED = Reason("process that may not be read, not even with CAP_SYS_PTRACE")
TROUBLE = Reason("process that could not be looked at")
HIDDEN = Reason("proc is mounted with hidepid, so processes of others are not even listed")
COVERED = Reason("process hidden by a mount over its folder in /proc: looking behind it needs CAP_SYS_ADMIN")
ENDED = Reason("process that ended while being looked at", as_asked=True)
