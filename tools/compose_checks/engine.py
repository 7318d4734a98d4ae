"""The container engine, as the checks need it: one compose project of its own, and what was made for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FOLDER = Path(__file__).resolve().parents[2] / "compose"
"""Where docker-compose.yml is."""
WORKSTATION = "migworkstation"
PRIVILEGED = "migagenthost3"
AGENTS = frozenset({WORKSTATION, "migagenthost1", "migagenthost2", PRIVILEGED})
SERVICES = ("migdb", "migapi", "migrelay", "migscheduler", WORKSTATION, "migagenthost1", "migagenthost2", PRIVILEGED)
BUILT = ("migdb", "migapi", "migrelay", WORKSTATION, "migagenthost1")
"""One service for each image."""


class CheckFailed(Exception):
    """Something is not as the walk-through says."""


def say(line: str) -> None:
    """A line for whoever is watching."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def check(well: bool, what: str) -> None:
    """Raises unless ``well``."""
    if not well:
        raise CheckFailed(what)


def missing() -> str:
    """What keeps this machine from running the environment; empty: nothing."""
    if shutil.which("docker") is None:
        return "docker is not installed (Debian: apt-get install docker.io docker-compose)"
    if not _compose_program():
        return "neither docker-compose nor the compose plugin is installed (Debian: apt-get install docker-compose)"
    asked = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if asked.returncode:
        return f"the container engine does not answer (is dockerd running, may you use it?): {asked.stderr.strip()}"
    if shutil.which("openssl") is None:
        return "openssl is not installed; compose/setup needs it"
    return ""


def _compose_program() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if plugin.returncode == 0 else []


def run(argv: Sequence[str], *, seconds: float = 120, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """A program's status and output; no judgement."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=seconds, check=False, **given)


def eventually(look: Callable[[], Any], what: str, *, seconds: float) -> Any:
    """The first result that counts as true; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        check(time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
    return seen


@dataclass
class Environment:
    """One compose project.

    Attributes:
        project: Its name; containers, volumes and the network carry it.
        tag: Of the images it builds.
        settings: The env file that ``compose/setup`` wrote for it.
    """

    project: str
    tag: str
    settings: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *words: str, seconds: float = 300, well: bool = True) -> subprocess.CompletedProcess[str]:
        """docker-compose for this project; fails with its output unless ``well`` is False."""
        argv = [*_compose_program(), "-p", self.project, "--env-file", str(self.settings)]
        argv += ["-f", str(FOLDER / "docker-compose.yml"), *words]
        surroundings = {**os.environ, **self.variables, "COMPOSE_PROJECT_NAME": self.project, "MIG_TAG": self.tag}
        done = subprocess.run(
            argv,
            cwd=FOLDER,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        if well and done.returncode:
            raise CheckFailed(f"docker-compose {' '.join(words)}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done

    def container(self, service: str) -> str:
        """Id of a service's container; empty when there is none."""
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return run(["docker", "ps", "-aq", "--no-trunc", *filters]).stdout.strip().partition("\n")[0]

    def health(self, service: str) -> str:
        """``healthy``, ``unhealthy``, ``starting``; or the container's state."""
        form = "{{if .State.Running}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}"
        return run(["docker", "inspect", "-f", form, self.container(service) or "none"]).stdout.strip()

    def inside(
        self, service: str, *words: str, stdin: str | None = None, seconds: float = 180, user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """A command in a service's container."""
        options = [*(["-i"] if stdin is not None else []), *(["-u", user] if user else [])]
        return run(["docker", "exec", *options, self.container(service), *words], seconds=seconds, stdin=stdin)

    def shell(self, line: str, *, stdin: str | None = None, seconds: float = 180) -> subprocess.CompletedProcess[str]:
        """A line typed on the workstation, by whoever `docker exec` makes one there."""
        return self.inside(WORKSTATION, "bash", "-c", line, stdin=stdin, seconds=seconds)

    def document(self, line: str) -> Any:
        """What a command line with ``--json`` prints on the workstation."""
        done = self.shell(line)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise CheckFailed(f"{line}: status {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}") from None

    def wait_until_up(self, *, seconds: float = 180) -> None:
        """All services healthy, all agents online."""
        eventually(
            lambda: all(self.health(one) == "healthy" for one in SERVICES), "every service healthy", seconds=seconds
        )
        eventually(lambda: self.online() >= AGENTS, f"online: {', '.join(sorted(AGENTS))}", seconds=60)

    def online(self) -> frozenset[str]:
        """Names of the agents that are online."""
        done = self.shell("mig agents --state online --json")
        return frozenset(one["name"] for one in json.loads(done.stdout)) if done.returncode == 0 else frozenset()

    def remove(self) -> None:
        """Containers, volumes, network."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", well=False)


def image_ids() -> frozenset[str]:
    """All images there are."""
    return frozenset(run(["docker", "images", "-aq", "--no-trunc"]).stdout.split())
