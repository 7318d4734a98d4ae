"""An agent alone, in a container that has nothing but Debian: what CI runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from packages_checks.container import check, container, say

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = """echo '{"class":"parameters","parameters":{"searches":{"s1":{"paths":["/etc"],"names":["^shadow$"]}}}}' | mig-agent -m file"""
LEFT = "find / -xdev -iname '*mig-*' -not -path '/packages*' -not -path '/proc/*' -not -path '/var/log/*' -not -path '/var/cache/*'"
MOST_MEGABYTES = 60


def check_fresh(packages: Path, number: str, older: str) -> None:
    """``packages`` has the agent in this version and in an older one. From ``apt-get install`` to the first answer; the module packages; an upgrade; removal and purge."""
    with container(packages.parent, systemd=False) as one:
        one.run("apt-get update -qq")
        before = set(one.run(LEFT).split())
        began = time.monotonic()
        one.run(f"apt-get install -y -qq --no-install-recommends ./{packages.name}/mig-agent_{older}-*.deb")
        answer = json.loads(one.run(QUESTION))
        took = time.monotonic() - began
        check(answer["foundanything"] and answer["success"], f"the first answer: {answer}")
        megabytes = int(one.run("du -s --apparent-size --block-size=1M /opt/mig").split()[0])
        check(megabytes < MOST_MEGABYTES, f"the agent takes {megabytes} MB")
        say(f"ok  from apt-get install to the first answer: {took:.1f} s, Python included; {megabytes} MB installed")
        one.run("mkdir -p /var/lib/mig-agent && echo kept > /var/lib/mig-agent/state && echo kept > /etc/mig/agent.toml")
        newer = f"./{packages.name}/mig-agent_{number}-*.deb ./{packages.name}/mig-agent-audit_{number}-*.deb"
        one.run(f"apt-get install -y -qq {newer}")
        state = one.run("cat /var/lib/mig-agent/state /etc/mig/agent.toml; stat -c %a /etc/mig/keys; mig-agent -m audit </dev/null | head -c 300")
        check(state.startswith("kept\nkept\n755\n"), f"after the upgrade: {state}")
        check("not available" not in state, f"audit was not found: {state}")
        written = one.run("find /opt/mig -newer /var/lib/mig-agent/state -type f -cmin -1 -name '*.pyc' -mmin -1 | head")
        check(not written, f"was written while it ran: {written}")
        one.run("apt-get remove -y -qq mig-agent")
        check(one.run("cat /var/lib/mig-agent/state").strip() == "kept", "state is kept when the package is removed")
        one.run("apt-get purge -y -qq mig-agent")
        left = set(one.run(LEFT).split()) - before
        check(not left, f"left after purge: {sorted(left)}")
        say("ok  upgraded with state kept, removed, purged: nothing is left")
