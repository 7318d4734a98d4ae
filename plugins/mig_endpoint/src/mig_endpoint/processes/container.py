"""Which container a process lives in, told from its control group: a hint, no proof. Source: cgroups(7), and the names
that Docker, Podman, CRI-O, containerd, Kubernetes, systemd-machined and LXC give to theirs.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ID = re.compile(rb"(?:^|[/:_-])([0-9a-f]{64}|[0-9a-f]{32})(?:\.scope|/|$)", re.MULTILINE)
_RUNTIMES = (b"docker", b"libpod", b"crio", b"containerd", b"kubepods", b"machine", b"lxc")
_NAMED = re.compile(rb"/(lxc(?:\.payload)?)[/.]([\w.-]+)|/(machine)-([\w.\\-]+)\.scope", re.ASCII)
_SHOWN = 12


@lru_cache(maxsize=4096)
def container_of(cgroup: bytes) -> str:
    """A container's runtime and id (its first 12 digits) or name, as ``docker:3f2a9c1b7d5e``.

    Args:
        cgroup: the text of ``/proc/PID/cgroup``. Empty when nothing in it looks like a container.
    """
    for line in cgroup.splitlines():
        path = line.split(b":", 2)[-1]
        if named := _NAMED.search(path):
            kind, label = (part for part in named.groups() if part is not None)
            return f"{kind.partition(b'.')[0].decode()}:{label.decode('ascii', 'replace')[:64]}"
        if found := _ID.search(path):
            runtime = next((one for one in _RUNTIMES if one in path), b"")
            if runtime or len(found.group(1)) == 64:
                return f"{(runtime or b'container').decode()}:{found.group(1)[:_SHOWN].decode()}"
    return ""
