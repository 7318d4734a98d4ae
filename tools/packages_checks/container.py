"""A container of Debian, with systemd where it is wanted, that is gone at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BASE = "debian:bookworm-slim"
WITH_SYSTEMD = "mig-packages-test:systemd"
_DOCKERFILE = f"""\
FROM {BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus python3 gpg gpg-agent procps man-db >/dev/null \\
 && rm -f /usr/sbin/policy-rc.d && echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/80-throw-away
CMD ["/sbin/init"]
"""


class CheckFailed(Exception):
    """A package does not do what it should."""


def say(line: str) -> None:
    """A line for whoever is watching."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def check(well: object, what: str) -> None:
    """Raises unless ``well``."""
    if not well:
        raise CheckFailed(what)


def eventually(look: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Returns when ``look`` says so; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not look():
        check(time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}")
        time.sleep(0.3)


@dataclass
class Container:
    """A running container."""

    name: str

    def try_to(self, line: str, *, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """A line for bash; no judgement."""
        return subprocess.run(
            ["docker", "exec", "-e", "DEBIAN_FRONTEND=noninteractive", "-w", "/packages", self.name, "bash", "-c", line],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
        )

    def run(self, line: str, *, seconds: float = 300) -> str:
        """What a line prints that has to end well."""
        ran = self.try_to(line, seconds=seconds)
        check(ran.returncode == 0, f"{line}\nended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}")
        return ran.stdout


@contextmanager
def container(packages: Path, *, systemd: bool) -> Iterator[Container]:
    """A fresh one, with the packages in ``/packages``."""
    if systemd:
        build = ["docker", "build", "-q", "--network", "host", "-t", WITH_SYSTEMD, "-"]
        built = subprocess.run(build, input=_DOCKERFILE, capture_output=True, text=True, check=False)
        check(built.returncode == 0, f"the image for systemd: {built.stderr[-2000:]}")
    name = f"mig-packages-test-{time.time_ns():x}"
    init = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
            "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/run/lock", WITH_SYSTEMD]
    # What the agent's unit keeps, a container has only when it is given.
    capabilities = ["--cap-add", "DAC_READ_SEARCH", "--cap-add", "SYS_PTRACE"]
    plain = [BASE, "sleep", "infinity"]
    start = ["docker", "run", "--rm", "-d", "--name", name, "--network", "host", *capabilities, "-v", f"{packages}:/packages:ro"]
    started = subprocess.run([*start, *(init if systemd else plain)], capture_output=True, text=True, check=False)
    check(started.returncode == 0, f"no container: {started.stderr[-2000:]}")
    try:
        one = Container(name)
        if systemd:
            eventually(lambda: one.try_to("systemctl is-system-running").stdout.strip() in ("running", "degraded"), "systemd runs")
        yield one
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)
