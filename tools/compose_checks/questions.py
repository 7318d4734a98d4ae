"""The walk-through's questions, as they are typed on the workstation, and who is to find something."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compose_checks.engine import AGENTS, FOLDER, PRIVILEGED, Environment, check, say

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = frozenset({"migagenthost2"})
LISTENERS = {"migdb": 5432, "migrelay": 5672, "migapi": 1664}
"""What listens in each service's container, by TCP."""
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """A line and the agents that find something; all agents answer."""

    line: str
    finders: frozenset[str]


def walkthrough() -> Iterator[Question]:
    """In the walk-through's order."""
    digest = hashlib.sha256((FOLDER / "demofile").read_bytes()).hexdigest()
    yield Question("mig file -path /etc -name '^shadow$' -content '^root:'", AGENTS)
    yield Question(
        "mig file -path /bin -path /etc -path /sbin -path /lib -content DEMOCONTENT -size '<100k' -maxdepth 2", HOLDER
    )
    yield Question(f"mig file -path /etc -maxdepth 0 -size '<100k' -sha2 {digest}", HOLDER)
    yield Question("mig pkg -name '^python$'", NOBODY)  # Debian 12 has no package of that name any more
    yield Question("mig pkg -name '^python3$'", AGENTS)
    yield Question("mig memory -content 'BEGIN RSA PRIVATE'", frozenset({PRIVILEGED}))
    yield Question("mig memory -content 'OpenSSH'", frozenset({PRIVILEGED}))
    yield Question("mig memory -lib libcrypto.so.3", AGENTS)


def ask_all(environment: Environment) -> None:
    """Asks every question and compares who found something."""
    for question in walkthrough():
        ask(environment, question)
    _privileged_sees_others(environment)
    _listeners_are_told_by_container(environment)


def ask(environment: Environment, question: Question) -> None:
    """Asks one question."""
    document = environment.document(f"{question.line} -show all --json")
    answers = {one["agentname"]: one for one in document["answers"]}
    states = {name: one["state"] for name, one in answers.items()}
    check(states == dict.fromkeys(AGENTS, "success"), f"{question.line}: answered: {states}")
    found = frozenset(name for name, one in answers.items() if one["found"])
    check(found == question.finders, f"{question.line}: found by {sorted(found)}, not {sorted(question.finders)}")
    shown = environment.shell(question.line)
    check(shown.returncode == 0, f"{question.line}: status {shown.returncode}: {shown.stderr[-1000:]}")
    for name in question.finders:
        check(name in shown.stdout, f"{question.line}: {name} is not in what is printed")
    say(f"ok  {question.line}   found by {', '.join(sorted(found)) or 'nobody'}")


def _privileged_sees_others(environment: Environment) -> None:
    """The privileged agent looks into other containers' processes; the others see their own at most."""
    printed = environment.shell("mig memory -lib libcrypto.so.3").stdout
    seen = "\n".join(line for line in printed.splitlines() if line.startswith(PRIVILEGED))
    for service in ("migdb", "migapi", "migagenthost1"):
        check(environment.container(service)[:12] in seen, f"{PRIVILEGED} does not see processes of {service}")
    say(f"ok  {PRIVILEGED} sees the processes of other containers")


def _listeners_are_told_by_container(environment: Environment) -> None:
    """The privileged agent says in which container each listener is, in network namespaces that are not its own."""
    columns = "--column local_port --column namespace --column processes"
    line = f"mig netstat -t \"name='{PRIVILEGED}'\" --protocol '^tcp$' --state '^LISTEN$' {columns}"
    document = environment.document(f"{line} --json")
    rows = [row for answer in document["answers"] for row in answer["results"][0]["elements"]["rows"]]
    for service, port in LISTENERS.items():
        number = environment.container(service)[:12]
        told = [
            row for row in rows if row.get("local_port") == port and f"docker:{number}" in str(row.get("processes"))
        ]
        check(bool(told), f"{line}: nothing listens on {port} in {service} ({number}): {rows}")
        check(all(row["namespace"] != "default" for row in told), f"{line}: {service} is in another namespace: {told}")
    say(f"ok  {PRIVILEGED} tells which listener is in which container: {LISTENERS}")


def console(environment: Environment) -> None:
    """mig-console starts, on a terminal and without one."""
    piped = environment.shell("mig-console", stdin="dashboard\nagents\nactions\n")
    check(piped.returncode == 0 and all(name in piped.stdout for name in AGENTS), f"mig-console: {piped.stderr}")
    line = "printf 'help\\nexit\\n' | script -qec mig-console /dev/null"
    typed = environment.shell(line)
    check(typed.returncode == 0 and "results [found" in typed.stdout, f"mig-console on a terminal: {typed.stdout}")
    say("ok  mig-console")
