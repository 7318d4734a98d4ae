"""The order of the checks, and that nothing is left behind."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compose_checks import outages, questions, standalone, trail, volumes
from compose_checks.engine import (
    BUILT,
    FOLDER,
    SERVICES,
    CheckFailed,
    Environment,
    image_ids,
    missing,
    run,
    say,
)

PROJECT = "migcomposetest"


def main() -> int:
    """Runs everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="compose-test", description="Checks the compose environment in containers.")
    parser.add_argument(
        "--keep-images", action="store_true", help="leave what was built, so that the next run is quick"
    )
    parser.add_argument("--quick", action="store_true", help="questions only: no outages, volumes, TLS, standalone")
    parser.add_argument("--without-audit", action="store_true", help="leave the kernel's audit trail alone")
    options = parser.parse_args()
    problem = missing()
    if problem:
        say(f"compose-test: cannot run: {problem}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before = image_ids()
    with tempfile.TemporaryDirectory(prefix="mig-compose-") as folder:
        settings = Path(folder) / "env"
        plain = {"MIG_PRIVILEGED_CONFIG": "/etc/mig/agent.toml"} if options.without_audit else {}
        environment = Environment(PROJECT, "compose-test", settings, plain)
        _setup(settings)
        environment.remove()
        try:
            _checks(environment, quick=options.quick, audit=not options.without_audit)
        except CheckFailed as failure:
            say(f"FAILED  {failure}")
            _tell(environment)
            return 1
        finally:
            environment.remove()
            if not options.keep_images:
                _remove_images(before, environment.tag)
    say("compose-test: everything is as it should be")
    return 0


def _checks(environment: Environment, *, quick: bool, audit: bool) -> None:
    began = time.monotonic()
    environment.compose("build", *BUILT, seconds=3600)
    say(f"ok  images built in {time.monotonic() - began:.0f} s: {_sizes(environment)}")
    began = time.monotonic()
    environment.compose("up", "-d")
    environment.wait_until_up()
    say(f"ok  eight services healthy, four agents online after {time.monotonic() - began:.0f} s")
    questions.ask_all(environment)
    questions.console(environment)
    if audit:
        trail.events_arrive(environment)
        trail.changes_arrive(environment)
    if quick:
        return
    outages.each_part(environment)
    questions.ask(environment, volumes.database_removed(environment))
    _switch_tls_on(environment)
    volumes.investigator_removed(environment)
    environment.remove()
    standalone.demonstrates(environment)


def _switch_tls_on(environment: Environment) -> None:
    _setup(environment.settings, "--tls", "on")
    environment.compose("up", "-d")
    environment.wait_until_up()
    plain = environment.shell("curl -s -m 5 http://migapi:1664/healthz")
    if plain.returncode == 0:
        raise CheckFailed("with TLS on, the API still answers plain HTTP")
    for question in list(questions.walkthrough())[:3]:
        questions.ask(environment, question)
    say("ok  TLS between agents and relay, investigator and API")


def _setup(settings: Path, *words: str) -> None:
    subprocess.run(
        [str(FOLDER / "setup"), "--file", str(settings), *words], check=True, stdout=subprocess.DEVNULL, timeout=60
    )


def _sizes(environment: Environment) -> str:
    sizes = []
    for name in ("server", "agent", "workstation", "database", "relay"):
        text = run(["docker", "image", "inspect", "-f", "{{.Size}}", f"mig/{name}:{environment.tag}"]).stdout.strip()
        sizes.append(f"{name} {int(text or 0) // 1_000_000} MB")
    return ", ".join(sizes)


def _tell(environment: Environment) -> None:
    """What is needed to understand a failure."""
    for service in SERVICES:
        health = environment.health(service)
        say(f"---- {service}: {health or 'no container'}")
        if health != "healthy" or service == "migscheduler":
            say(environment.compose("logs", "--tail", "30", service, well=False).stdout[-4000:])


def _remove_images(before: frozenset[str], tag: str) -> None:
    """Everything that was not there before; several rounds, since images are built on one another."""
    named = run(["docker", "images", "-q", "--filter", f"reference=mig/*:{tag}"]).stdout.split()
    if named:
        run(["docker", "rmi", "-f", *named])
    for _ in range(50):
        fresh = image_ids() - before
        if not fresh or not run(["docker", "rmi", *fresh]).stdout:
            return
