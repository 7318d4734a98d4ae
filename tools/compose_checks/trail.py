"""The kernel's audit trail: what happens on the machine arrives at the workstation's HTTP endpoint."""

from __future__ import annotations

import secrets

from compose_checks.engine import PRIVILEGED, Environment, check, eventually, run, say

LOG = "/var/log/supervisor/simpleweb-stdout*"
SECONDS = 60.0


def events_arrive(environment: Environment) -> bool:
    """An execve and a write to a watched file are reported; returns False where the modules are not installed."""
    about = environment.document(f"mig agent show {PRIVILEGED} --json")
    persistent = about.get("persistent") or about.get("statistics", {}).get("persistent") or {}
    if not {"audit", "dispatch"} <= set(about["modules"]):
        say("--  audit and dispatch are not installed: the audit trail is not checked")
        return False
    states = {name: persistent.get(name, {}).get("state", "?") for name in ("audit", "dispatch")}
    check("misconfigured" not in states.values(), f"the persistent modules: {persistent}")

    token = secrets.token_hex(8)
    environment.inside("migagenthost1", "true", f"seen-{token}")
    eventually(lambda: _in_log(environment, f"seen-{token}"), "the execve is in the log", seconds=SECONDS)
    say("ok  an execve in another container is in simpleweb's log")

    image = f"mig/agent:{environment.tag}"
    # Opened for writing, nothing written: the watch is on the file, whatever path leads to it.
    write = ["docker", "run", "--rm", "-v", "/etc:/watched", image, "sh", "-c", f": seen-{token} >> /watched/shadow"]
    done = run(write)
    check(done.returncode == 0, f"writing to /etc/shadow: {done.stderr}")
    eventually(lambda: _in_log(environment, '"shadow"'), "the write is in the log", seconds=SECONDS)
    say("ok  a write to the machine's /etc/shadow is in simpleweb's log")
    return True


def _in_log(environment: Environment, text: str) -> bool:
    return environment.shell(f"sudo sh -c \"grep -qF -- '{text}' {LOG}\"").returncode == 0
