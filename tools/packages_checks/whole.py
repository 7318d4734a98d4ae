"""A whole MIG from packages under systemd, by the lines of docs/install.md; then what becomes of it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from packages_checks.container import check, container, eventually, say
from packages_checks.rpm import check_rpm, make_stand_ins
from packages_checks.wheels import make_plugin

if TYPE_CHECKING:
    from packages_checks.container import Container

PAGE = Path(__file__).resolve().parents[2] / "docs" / "install.md"
UNITS = ("mig-agent", "mig-api", "mig-scheduler")
MOST_AGENT_MEGABYTES, MOST_PROCESSOR = 32, 0.001


def lines_of_the_page() -> str:
    """What docs/install.md says to type, on one machine."""
    chapter = PAGE.read_text(encoding="utf-8").partition("## One machine, from packages")[2]
    return "set -e\n" + "".join(re.findall(r"^```sh\n(.*?)^```", chapter, re.DOTALL | re.MULTILINE))


def check_whole(packages: Path, number: str, older: str, *, idle_minutes: float) -> None:
    """Installs by the page, asks, looks at the units, adds a plugin, upgrades, purges."""
    make_plugin(packages)
    make_stand_ins(packages)
    with container(packages.parent, systemd=True) as one:
        begin = f"cp packages/mig-{{server,client}}_{number}-*.deb packages/mig-agent_{older}-*.deb /begin"
        one.run(f"apt-get update -qq && mkdir /begin && {begin}")
        one.run("cat > /walk.sh <<'THE_PAGE'\n" + lines_of_the_page() + "THE_PAGE")
        answered = one.run("cd /begin && bash /walk.sh 2>&1", seconds=600)
        check("/etc/shadow [" in answered, f"the page's question: {answered[-2000:]}")
        say("ok  docs/install.md, word for word: a whole MIG from packages under systemd answers")
        _units(one)
        agent = json.loads(one.run("mig agents --json"))[0]
        _plugin(one)
        if idle_minutes:
            _idle(one, idle_minutes)
        # An upgrade, with state and plugin kept.
        one.run(f"apt-get install -y -qq ./packages/mig-agent_{number}-*.deb ./packages/mig-agent-audit_{number}-*.deb")
        eventually(lambda: one.run("mig agents --state online --json") != "[]\n", "the upgraded agent is online")
        after = json.loads(one.run("mig agents --json"))
        check([row["id"] for row in after] == [agent["id"]], f"the agent is the same one: {after}")
        eventually(lambda: {"audit", "hello"} <= set(json.loads(one.run("mig agents --json"))[0]["modules"]), "audit and hello")
        check("mig-plugin-hello 1.0  added" in one.run("mig-agent plugins list"), "the plugin survived the upgrade")
        check("success" in one.run("mig file -t all -path /etc -name '^shadow$' --show all"), "it answers after the upgrade")
        say("ok  upgrade: the same agent, with its state, its plugin, and a module package that it saw without a restart")
        one.run("apt-get purge -y -qq mig-agent-audit mig-agent mig-server mig-client")
        left = one.run("ls -d /opt/mig /etc/mig /var/lib/mig-* /etc/systemd/system/*/mig-* /usr/bin/mig* 2>/dev/null; true")
        check(not left, f"left after purge: {left}")
        say("ok  purge leaves nothing")
        check_rpm(one, number, older)


def _units(one: Container) -> None:
    names = " ".join(f"{unit}.service" for unit in UNITS)
    # --man=no: the image has no manual pages at all.
    said = one.try_to(f"systemd-analyze verify --man=no {names} 2>&1").stdout
    check(not said, f"systemd-analyze verify: {said}")
    levels = {unit: one.run(f"systemd-analyze security --no-pager {unit}.service | tail -n 1").split(": ")[1][:3] for unit in UNITS}
    limits = {unit: one.run(f"systemctl show -p LimitCORE --value {unit}").strip() for unit in UNITS}
    check(set(limits.values()) == {"0"}, f"core dumps: {limits}")
    check("mig-agent" in one.run("journalctl -u mig-agent --no-pager | tail -n 20"), "the journal has the agent's log")
    say(f"ok  systemd-analyze verify is silent; exposure {levels}; no core dumps; logs in the journal")


def _plugin(one: Container) -> None:
    pid = one.run("systemctl show -p MainPID --value mig-agent")
    one.run("mig-agent plugins add packages/mig_plugin_hello-1.0-py3-none-any.whl")
    one.run("systemctl reload mig-agent")
    eventually(lambda: "hello" in json.loads(one.run("mig agents --json"))[0]["modules"], "the running agent has the plugin")
    check(one.run("systemctl show -p MainPID --value mig-agent") == pid, "it was not restarted")
    say("ok  mig-agent plugins add: seen by the running agent without a restart")


def _idle(one: Container, minutes: float) -> None:
    """Memory and processor time of the unit's control group, from when it has come to rest."""
    time.sleep(45)
    show = "systemctl show -p CPUUsageNSec -p MemoryCurrent --value mig-agent"
    rss = "for p in $(cat /proc/[0-9]*/cgroup -s >/dev/null; systemctl show -p MainPID --value mig-agent); do awk '/^(Rss|Pss)/ {print $1 $2}' /proc/$p/smaps_rollup; done"
    first, began = one.run(show).split(), time.monotonic()
    time.sleep(minutes * 60)
    last = one.run(show).split()
    used = (int(last[0]) - int(first[0])) / 1e9 / (time.monotonic() - began)
    say(f"    idle for {minutes:.0f} min: {used:.4%} of a core; {one.run(rss).split()} KiB; control group {int(last[1]) / 1e6:.1f} MB")
    check(used < MOST_PROCESSOR, f"an idle agent uses {used:.4%} of a core")
