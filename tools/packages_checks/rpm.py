"""The agent's rpm: Debian's rpm installs it into a container with systemd, since no system of rpm's kin can be had offline.

What rpm itself does is real: files, scripts, upgrade, verification, erasure. Dependencies are not looked at (``--nodeps``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from packages_checks.container import check, say
from packages_checks.fresh import QUESTION

if TYPE_CHECKING:
    from packages_checks.container import Container

RPM = "rpm --nodeps --nosignature"


def check_rpm(one: Container, number: str, older: str) -> None:
    """In a container from which MIG is gone."""
    one.run("apt-get install -y -qq --no-install-recommends rpm >/dev/null")
    one.run(f"{RPM} -i packages/mig-agent-{older}-*.rpm")
    check(json.loads(one.run(QUESTION))["foundanything"], "the module that the rpm brought answers")
    check(one.run("systemctl is-enabled mig-agent").strip() == "enabled", "the unit is enabled")
    one.run("echo kept > /etc/mig/agent.toml")
    one.run(f"{RPM} -U packages/mig-agent-{number}-*.rpm")
    check(one.run("cat /etc/mig/agent.toml; mig-agent -V").startswith("kept\nmig-agent "), "it works after the upgrade")
    check(not one.run("rpm -V --nodeps mig-agent"), "rpm finds every file as it was packed")
    one.run("rpm -e mig-agent")
    left = one.run("find /opt/mig /usr/bin/mig-agent /etc/systemd/system/*/mig-agent.service 2>/dev/null; true")
    check(not left, f"left after rpm -e: {left}")
    check(one.run("cat /etc/mig/agent.toml") == "kept\n", "settings stay: rpm has no purge")
    say("ok  rpm: installed, answers, upgraded, verified, erased; settings stay")
