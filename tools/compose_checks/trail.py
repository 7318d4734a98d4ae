"""The audit trail and changed files: what happens on the machine arrives at the workstation's HTTP endpoint."""

from __future__ import annotations

import secrets

from compose_checks.engine import PRIVILEGED, WORKSTATION, Environment, check, eventually, run, say

LOG = "/var/log/supervisor/simpleweb-stdout*"
SECONDS = 60.0


def events_arrive(environment: Environment) -> None:
    """An execve, a write to a watched file and what a Sigma rule says of a program are reported."""
    eventually(
        lambda: _running(environment), "audit, fswatch, sigma and dispatch run on migagenthost3", seconds=SECONDS
    )
    counters = environment.shell(f"mig audit -t {PRIVILEGED}").stdout
    check("mode=unicast" in counters, f"the audit module does not own auditing (does auditd run?): {counters}")

    token = secrets.token_hex(8)
    environment.inside("migagenthost1", "true", f"seen-{token}")
    _arrives(environment, f'"command":"true seen-{token}"', "the execve in another container")
    # Opened for writing, nothing written: the watch is on the file, whatever path leads to it.
    image, line = f"mig/agent:{environment.tag}", f": seen-{token} >> /watched/shadow"
    done = run(["docker", "run", "--rm", "-v", "/etc:/watched", image, "sh", "-c", line])
    check(done.returncode == 0, f"writing to /etc/shadow: {done.stderr}")
    _arrives(environment, '"keys":["shadow"]', "the write to the machine's /etc/shadow")
    environment.inside("migagenthost1", "sh", "-c", f"f=/tmp/seen-{token}; : > $f; chmod 4755 $f; rm $f")
    _arrives(environment, f'"type":"sigma_match".*/tmp/seen-{token}', "the match of a Sigma rule", how="-q")


def changes_arrive(environment: Environment) -> None:
    """A unit file that somebody puts on the machine is reported, with its hash."""
    name = f"mig-compose-test-{secrets.token_hex(8)}.service"
    image = f"mig/agent:{environment.tag}"
    unit = ["docker", "run", "--rm", "-v", "/etc/systemd/system:/units", image, "sh", "-c"]
    try:
        done = run([*unit, f"echo '# of the compose test' > /units/{name}"])
        check(done.returncode == 0, f"writing a unit file: {done.stderr}")
        _arrives(environment, f'"change":"new","path":"/host/etc/systemd/system/{name}"', "the new unit file")
    finally:
        run([*unit, f"rm -f /units/{name}"])


def _arrives(environment: Environment, text: str, what: str, *, how: str = "-qF") -> None:
    look = ("sudo", "sh", "-c", f'grep {how} -- "$1" {LOG}', "sh", text)
    eventually(lambda: environment.inside(WORKSTATION, *look).returncode == 0, what, seconds=SECONDS)
    say(f"ok  {what} is in simpleweb's log")


def _running(environment: Environment) -> bool:
    """By the last heartbeat."""
    persistent = environment.document(f"mig agent show {PRIVILEGED} --json").get("persistent") or {}
    return all(persistent.get(name, {}).get("state") == "running" for name in ("audit", "fswatch", "sigma", "dispatch"))
