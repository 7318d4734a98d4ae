"""Words before a command line that take privileges away from it: setpriv(1) of util-linux.

For tests that must look with what an agent really has, not with all that root has.
"""

from __future__ import annotations

import os
import shutil

from mig_core.testing.services import service_missing

# fmt: off
_OF_CONTAINERS = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
    "sys_chroot", "mknod", "audit_write", "setfcap",
)
_OF_PRIVILEGED_AGENTS = ("sys_ptrace", "audit_control", "audit_read", "dac_read_search")
# fmt: on
NOBODY = 65534


def capabilities(*more: str) -> list[str]:
    """Those of a container, of the example environment's privileged agent (but CHECKPOINT_RESTORE), and ``more``."""
    _check()
    kept = ",".join(f"+{name}" for name in (*_OF_CONTAINERS, *_OF_PRIVILEGED_AGENTS, *more))
    return ["setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all"]


def nobody() -> list[str]:
    """An ordinary user, but for CAP_DAC_READ_SEARCH: to get at the interpreter wherever the tests' is installed."""
    _check()
    user, kept = f"{NOBODY}", "-all,+dac_read_search"
    who = ["--reuid", user, "--regid", user, "--clear-groups"]
    return ["setpriv", *who, "--bounding-set", kept, "--inh-caps", kept, "--ambient-caps", kept]


def _check() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        service_missing("taking privileges away needs root and setpriv (util-linux)")
