"""Which packages there are, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
AGENT, SERVER, CLIENT = "/opt/mig/agent", "/opt/mig/server", "/opt/mig/client"
MODULES = ("file", "pkg", "memory", "netstat", "process", "account", "autorun", "ping", "sshkey", "timedrift")
"""What every agent can be asked; further modules are packages of their own."""


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: What it is installed by.
        summary: One line, for lists of packages.
        description: What it is for.
        environment: The environment below /opt/mig that its distributions are put into.
        roots: Distributions (with extras) that it is for; what they need comes along.
        beside: Packages whose distributions are there already, since this one depends on them.
        programs: Name of a program -> ``module:function``.
        units: systemd units.
        etc: Folders below /etc/mig.
        debian: What it depends on, besides Python.
        rpm: The same.
        pip: Whether it brings pip, to add plugins with.
    """

    name: str
    summary: str
    description: str
    environment: str
    roots: tuple[str, ...]
    beside: tuple[str, ...] = ()
    programs: dict[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    etc: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    rpm: tuple[str, ...] = ()
    pip: bool = False


def _module(name: str, summary: str) -> Package:
    return Package(
        f"mig-agent-{name}",
        f"MIG agent: module {name}",
        f"{summary}\nThe running agent sees it without a restart.",
        AGENT,
        (f"mig-plugin-{name}",),
        beside=("mig-agent",),
    )


PACKAGES = (
    Package(
        "mig-agent",
        "MIG agent: answers signed questions about this endpoint",
        "Checks the signature of every question itself, looks at files, packages,\n"
        "processes, memory, connections, accounts and what starts by itself, and\nhands over answers, never raw data.",
        AGENT,
        ("mig-core", *(f"mig-plugin-{name}" for name in MODULES)),
        programs={"mig-agent": "mig_core.agent.main:main"},
        units=("mig-agent.service",),
        etc=("keys",),
        debian=("gpgv | gpg | gnupg", "gpg | gnupg"),
        rpm=("gnupg2",),
        pip=True,
    ),
    _module("audit", "Watches the kernel's audit trail."),
    _module("fswatch", "Tells which files change, and who changed them."),
    _module("sigma", "Evaluates Sigma rules over the alerts of audit and fswatch."),
    _module("dispatch", "Forwards alerts to HTTP, Elasticsearch, Splunk, Graylog, syslog, SNS or files."),
    _module("yara", "Looks into files and processes with YARA rules."),
    Package(
        "mig-server",
        "MIG platform: API and scheduler",
        "mig-api serves investigators and agents, mig-scheduler fans questions out and\n"
        "keeps the books. Both need PostgreSQL, here or elsewhere; mig-admin prepares\nand upgrades its database.",
        SERVER,
        ("mig-core[server,cli]",),
        programs={
            "mig-api": "mig_core.api.main:main",
            "mig-scheduler": "mig_core.scheduler.main:main",
            "mig-admin": "mig_core.cli.admin:main",
        },
        units=("mig-api.service", "mig-scheduler.service"),
        debian=("gpg | gnupg", "systemd | systemd-standalone-sysusers | passwd"),
        rpm=("gnupg2", "shadow-utils"),
    ),
    Package(
        "mig-client",
        "MIG for investigators: mig and mig-console",
        "Signs questions with the investigator's own OpenPGP key and shows the answers\nof thousands of endpoints.",
        CLIENT,
        ("mig-core[cli]", *(f"mig-plugin-{name}" for name in (*MODULES, "audit", "dispatch", "fswatch", "sigma", "yara", "sweep", "web"))),
        programs={"mig": "mig_core.cli.main:main", "mig-console": "mig_core.cli.console.main:main"},
        debian=("gpg | gnupg", "gpg-agent | gnupg"),
        rpm=("gnupg2",),
    ),
)
BY_NAME = {one.name: one for one in PACKAGES}
