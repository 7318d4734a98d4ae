"""The image that holds a whole demonstration in one container."""

from __future__ import annotations

from compose_checks.engine import FOLDER, Environment, check, run, say


def build(environment: Environment) -> str:
    """Builds it; returns its name."""
    image = f"mig/standalone:{environment.tag}"
    argv = ["docker", "build", "-q", "-f", str(FOLDER / "Dockerfile"), "--target", "standalone", "-t", image]
    done = run([*argv, str(FOLDER.parent)], seconds=1200)
    check(done.returncode == 0, f"building {image}: {done.stderr[-2000:]}")
    return image


def demonstrates(environment: Environment) -> None:
    """It asks its questions, gets the answers, and ends well."""
    image = build(environment)
    done = run(["docker", "run", "--rm", "--cap-drop", "ALL", image], seconds=240)
    text = done.stdout + done.stderr
    check(done.returncode == 0 and "migagenthost2 etc/mig-demo" in text, f"{image}: {text[-3000:]}")
    say("ok  the standalone image holds a whole demonstration")
