"""Every question of ``docs/cheatsheet.md`` works, and finds what it should."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.target import parse_target
from mig_core.errors import ModuleUnknown
from mig_core.plugin.manager import load_module

if TYPE_CHECKING:
    from typing import Protocol

    class LocalMig(Protocol):
        root: Path

        def put(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None: ...
        def commands(self, page: str) -> list[str]: ...
        def ask(self, line: str, *more: str, below_root: bool = False) -> tuple[list[str], bool]: ...


PAGE = (Path(__file__).parents[2] / "docs" / "cheatsheet.md").read_text(encoding="utf-8")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    # part of the command -> files that it must find, files that it must not
    "buildbot%'\" --path /etc/cron.d": (
        {"/etc/cron.d/backup": "0 3 * * * root dump mysql://db/all\n"},
        {"/etc/cron.d/clean": "0 4 * * * root true\n", "/etc/crontab": "mysql://\n"},
    ),
    "/etc/passwd --mtime": ({"/etc/passwd": "root:x:0:0\n"}, {}),
    "--macroal": (
        {"/home/eve/.ssh/authorized_keys": f"{KEY}KnownKey+One eve\n{KEY}UnknownKey who\n"},
        {"/root/.ssh/authorized_keys": f"# admins\n{KEY}KnownKey+One root\n\n"},
    ),
    "/proc/uptime": ({"/proc/uptime": "10000000.01 1.00\n"}, {}),
    "^/sbin/auditd": (
        {"/proc/77/cmdline": "/sbin/auditd\0-f\0"},
        {"/proc/78/cmdline": "/bin/sh\0/sbin/auditd\0", "/proc/77/task/77/cmdline": "/sbin/auditd\0"},
    ),
    "[a]rcsight": (
        {"/proc/5/cmdline": "/opt/arcsight/bin/agent\0"},
        {"/proc/6/cmdline": "mig\0file\0--content\0[a]rcsight\0"},
    ),
    "Uid:": (
        {"/proc/9/status": "Name:\tsh\nUid:\t1042\t1042\t1042\t1042\n"},
        {"/proc/8/status": "Name:\tsh\nUid:\t10421\t1042\t1042\t1042\n"},
    ),
    "PRODUCT=20a0/4107": (
        {"/sys/devices/pci/usb1/1-1/uevent": "DEVTYPE=usb_device\nPRODUCT=20a0/4107/109\n"},
        {"/sys/devices/pci/usb1/1-2/uevent": "PRODUCT=1d6b/2/510\n"},
    ),
    "^os-release$": ({"/etc/os-release": "ID=x\n"}, {"/etc/deeper/os-release": ""}),
    "found('": ({"/etc/cron.d/backup": "mysql://\n"}, {}),
}


def command_with(part: str, local_mig: LocalMig) -> str:
    (line,) = (line for line in local_mig.commands(PAGE) if part in line)
    return line


@pytest.mark.parametrize("part", CASES)
def test_a_question_about_files_finds_what_it_should_and_nothing_else(part: str, local_mig: LocalMig) -> None:
    wanted, others = CASES[part]
    for path, content in (wanted | others).items():
        local_mig.put(path, content)

    printed, found = local_mig.ask(command_with(part, local_mig), below_root=True)

    assert found
    assert [row.split(" ")[1] for row in printed] == [f"{local_mig.root}{path}" for path in wanted]


def test_a_machine_that_has_not_been_up_for_long_is_not_found(local_mig: LocalMig) -> None:
    local_mig.put("/proc/uptime", "9999999.99 1.00\n")

    _, found = local_mig.ask(command_with("/proc/uptime", local_mig), below_root=True)

    assert not found


def test_the_question_about_setuid_programs_gives_their_hash(local_mig: LocalMig) -> None:
    for folder in ("tmp", "var/tmp", "home"):
        (local_mig.root / folder).mkdir(parents=True)
    local_mig.put("/tmp/shell", "x", mode=0o4755)
    local_mig.put("/home/plain", "x", mode=0o755)

    (row,), found = local_mig.ask(command_with("--mode '^u'", local_mig), below_root=True)

    assert found
    assert f"{local_mig.root}/tmp/shell " in row
    assert "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" in row


@pytest.mark.parametrize(
    ("part", "name", "version"),
    [
        ("--name 'nginx'", "nginx", "1.22.1-9"),
        ("--version '<1.22", "nginx", "1.22.1-9"),
        ("--version '<3.0", "openssl", "3.0.14-1~deb12u2"),
    ],
)
def test_a_question_about_packages_finds_the_installed_version(
    part: str, name: str, version: str, local_mig: LocalMig
) -> None:
    try:
        load_module("pkg")
    except ModuleUnknown as error:
        pytest.skip(f"{error}")
    status = f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
    local_mig.put("/var/lib/dpkg/status", status)

    (row,), found = local_mig.ask(command_with(part, local_mig), "--root", str(local_mig.root))

    assert found
    assert f"name={name} version={version} " in row


def test_a_list_of_hashes_finds_who_has_one(
    local_mig: LocalMig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_mig.put("/opt/tool", "planted")
    (tmp_path / "hashes.txt").write_text(hashlib.sha256(b"planted").hexdigest() + "\n")
    monkeypatch.chdir(tmp_path)

    (row,), found = local_mig.ask(command_with("mig sweep", local_mig), "--path", str(local_mig.root))

    assert found
    assert f"file={local_mig.root}/opt/tool " in row


def test_what_starts_by_itself_and_no_package_brought_is_found(local_mig: LocalMig) -> None:
    local_mig.put("/etc/cron.d/odd", "* * * * * root /opt/odd\n")
    local_mig.put("/var/lib/dpkg/info/base-files.list", "/.\n/etc\n")
    line, _, stacked = command_with("mig autorun", local_mig).partition(" --stack ")
    columns, _, rarest = stacked.partition(" --rare ")

    printed, found = local_mig.ask(line, "--root", str(local_mig.root), "--csv")

    assert found
    header, *rows = csv.reader(printed)
    assert set(columns.split(",")) <= set(header) and int(rarest)
    assert [row[header.index("runs")] for row in rows] == ["/opt/odd"]


def test_the_question_without_mig_is_answered_on_the_endpoint(local_mig: LocalMig) -> None:
    say, message, bar, program, *words = shlex.split(command_with("mig-agent", local_mig))
    assert (say, bar, program) == ("echo", "|", "mig-agent")

    done = subprocess.run(
        [sys.executable, "-m", "mig_core.agent.main", *words],
        input=json.dumps(json.loads(message)) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.startswith("/etc/passwd [")


def test_every_command_is_run_by_a_test(local_mig: LocalMig) -> None:
    tested = [*CASES, "--mode '^u'", "--name 'nginx'", "--version '<1.22", "--version '<3.0", "mig-agent", "mig agents"]
    tested += ["mig sweep", "mig autorun"]

    untested = [line for line in local_mig.commands(PAGE) if not any(part in line for part in tested)]

    assert not untested


def test_every_target_can_be_understood(local_mig: LocalMig) -> None:
    for line in local_mig.commands(PAGE):
        words = shlex.split(line)
        if "-t" in words:
            parse_target(words[words.index("-t") + 1])
