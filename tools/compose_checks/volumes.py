"""Removing the database without the investigator's volume is repaired; the other way round ends in a clear message."""

from __future__ import annotations

from compose_checks.engine import WORKSTATION, Environment, check, eventually, run, say
from compose_checks.questions import Question, walkthrough


def database_removed(environment: Environment) -> Question:
    """A fresh database, the same key: the investigator is registered again, the agents enrol again."""
    _without(environment, "migdb")
    environment.compose("up", "-d")
    environment.wait_until_up()
    say("ok  the database was removed, the investigator's volume not: all is well again")
    return next(walkthrough())


def investigator_removed(environment: Environment) -> None:
    """A fresh key that the database does not know: said, not silent."""
    _without(environment, "miginvestigator")
    environment.compose("up", "-d", WORKSTATION, well=False)
    eventually(lambda: environment.health(WORKSTATION) == "unhealthy", "the workstation is unhealthy", seconds=120)
    form = "{{range .State.Health.Log}}{{.Output}}{{end}}"
    told = run(["docker", "inspect", "-f", form, environment.container(WORKSTATION)]).stdout
    logged = environment.compose("logs", WORKSTATION).stdout
    for where, text in (("health check", told), ("log", logged)):
        check("does not know the key" in text and "docker volume rm" in text, f"the {where} says: {text[-2000:]}")
    say("ok  the investigator's volume was removed, the database not: the message says what to do")


def _without(environment: Environment, volume: str) -> None:
    environment.compose("down", "--timeout", "5")
    removed = run(["docker", "volume", "rm", f"{environment.project}_{volume}"])
    check(removed.returncode == 0, f"removing {volume}: {removed.stderr}")
