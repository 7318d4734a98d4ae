"""The agent's packages: what is in them, that it runs where it is put, and that it is the same each time."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mig_core.testing.services import service_missing

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_000
UNITS = ROOT / "packaging" / "systemd"


def build(out: Path, *names: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "build-packages"), "--out", str(out), *names]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})


@dataclass
class Built:
    """The files that were built, and the agent's as it lies on an endpoint."""

    folder: Path
    root: Path

    def file(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found

    def deb(self, *words: str) -> str:
        command = ["dpkg-deb", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if shutil.which("dpkg-deb") is None or shutil.which("rpm") is None:
        service_missing("dpkg-deb and rpm are not installed")
    folder, root = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("root")
    build(folder, "mig-agent", "mig-agent-audit")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return Built(folder, root)


def test_the_deb_names_its_python_and_gpg_and_is_small(built: Built) -> None:
    control = built.deb("-f", str(built.file("mig-agent_*.deb")))

    major, minor = sys.version_info[:2]
    assert f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1})" in control
    assert "gpg | gnupg" in control
    (size,) = (int(line.split()[1]) for line in control.splitlines() if line.startswith("Installed-Size:"))
    assert size < 60_000


def test_deb_and_rpm_hold_the_same_files(built: Built) -> None:
    listed = built.deb("-c", str(built.file("mig-agent_*.deb"))).splitlines()
    deb = {line.split(maxsplit=5)[5].split(" -> ")[0].strip("./") for line in listed if not line.startswith("d")}
    asked = [
        "rpm",
        "-qp",
        "--nosignature",
        "--qf",
        "[%{FILEMODES:perms} %{FILENAMES}\n]",
        str(built.file("mig-agent-0*.rpm")),
    ]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()

    rpm = {line.split(maxsplit=1)[1].strip("/") for line in lines if not line.startswith("d")}

    # Where zsh looks on systems of rpm's kin.
    assert {one.replace("zsh/vendor-completions/", "zsh/site-functions/") for one in deb} == rpm
    assert "usr/share/zsh/site-functions/_mig-agent" in rpm
    assert "usr/lib/systemd/system-preset/50-mig-agent.preset" in rpm
    assert "usr/lib/systemd/system/mig-agent.service" in deb
    assert "usr/share/man/man1/mig-agent.1.gz" in deb
    assert {one.split("/")[2] for one in deb if one.startswith("usr/share/")} >= {
        "bash-completion",
        "zsh",
        "fish",
        "man",
        "doc",
    }


def test_nothing_in_it_names_the_place_it_was_built_in_and_all_is_of_one_time(built: Built) -> None:
    traces = [str(ROOT).encode(), b"mig-packages-", str(Path(sys.prefix)).encode()]

    files = [one for one in built.root.rglob("*") if one.is_file() and not one.is_symlink()]

    assert len(files) > 1000
    for file in files:
        content = file.read_bytes()
        assert not any(trace in content for trace in traces), file
        assert file.stat().st_mtime == EPOCH, file
        assert file.suffix != ".py" or (file.parent / "__pycache__").is_dir() or not content, file


def test_the_program_is_started_with_the_systems_python_and_nothing_of_the_environments_variables(built: Built) -> None:
    program = built.root / "opt" / "mig" / "agent" / "bin" / "mig-agent"

    assert program.read_text(encoding="utf-8").startswith("#!/opt/mig/agent/bin/python3 -IB\n")
    assert os.readlink(program.parent / "python3") == f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    assert os.readlink(built.root / "usr" / "bin" / "mig-agent") == "/opt/mig/agent/bin/mig-agent"


def test_it_answers_from_where_it_lies_and_writes_nothing_there(built: Built, tmp_path: Path) -> None:
    interpreter = built.root / "opt" / "mig" / "agent" / "bin" / "python3"
    if not interpreter.exists():
        service_missing(f"{os.readlink(interpreter)} is not installed")
    (tmp_path / "note.txt").write_text("needle\n", encoding="ascii")
    before = {one: one.lstat().st_mtime_ns for one in built.root.rglob("*")}
    search = {"paths": [str(tmp_path)], "contents": ["^needle$"]}

    ran = subprocess.run(
        [str(interpreter), "-IB", str(interpreter.parent / "mig-agent"), "-m", "file"],
        input=json.dumps({"class": "parameters", "parameters": {"searches": {"s1": search}}}),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(ran.stdout)["foundanything"] is True
    assert {one: one.lstat().st_mtime_ns for one in built.root.rglob("*")} == before


def test_two_builds_are_the_same_to_the_byte(built: Built, tmp_path: Path) -> None:
    build(tmp_path, "mig-agent-audit")

    again = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    assert again == {one.name: one.read_bytes() for one in built.folder.glob("mig-agent-audit*")}


@pytest.mark.parametrize(("unit", "exposure"), [("mig-agent", 3.4), ("mig-api", 1.2), ("mig-scheduler", 1.2)])
def test_systemd_likes_the_units(unit: str, exposure: float, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        service_missing("systemd-analyze is not installed")
    place = tmp_path / "usr" / "lib" / "systemd" / "system"
    shutil.copytree("/usr/lib/systemd/system", place, symlinks=True)
    shutil.copyfile(UNITS / f"{unit}.service", place / f"{unit}.service")
    for program in (f"usr/bin/{unit}", "bin/sh"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text("")
        (tmp_path / program).chmod(0o755)
    analyze = ["systemd-analyze", f"--root={tmp_path}"]

    verified = subprocess.run(
        [*analyze, "--man=no", "verify", str(place / f"{unit}.service")], capture_output=True, text=True, check=False
    )
    rated = subprocess.run(
        [*analyze, "--offline=yes", "--no-pager", "security", f"{unit}.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"{unit}.service" not in verified.stderr + verified.stdout
    level = float(rated.stdout.rpartition(f"exposure level for {unit}.service: ")[2].split()[0])
    assert level <= exposure
    assert "LimitCORE=0" in (UNITS / f"{unit}.service").read_text(encoding="utf-8")


def test_manual_and_completions_know_every_command(built: Built) -> None:
    share = built.root / "usr" / "share"
    manual = (
        gzip.decompress((share / "man" / "man1" / "mig-agent.1.gz").read_bytes()).decode("utf-8").replace("\\-", "-")
    )
    bash = share / "bash-completion" / "completions" / "mig-agent"

    checked = subprocess.run(["bash", "-n", str(bash)], capture_output=True, text=True, check=False)

    for word in ("--config", "--check", "journal", "plugins", "/etc/mig/agent.toml"):
        assert word in manual, word
    assert (checked.returncode, checked.stderr) == (0, "")
    for word in ("journal", "plugins", "enrol"):
        assert word in bash.read_text(encoding="utf-8"), word


def test_rpm_installs_verifies_and_erases_it(built: Built, tmp_path: Path) -> None:
    rpm = ["rpm", "--root", str(tmp_path), "--nodeps", "--noscripts", "--nosignature"]
    if os.geteuid() != 0:
        service_missing("rpm installs into a root of its own as root only")

    subprocess.run([*rpm, "-i", str(built.file("mig-agent-0*.rpm"))], check=True, capture_output=True)
    verified = subprocess.run([*rpm[:3], "-V", "--nodeps", "mig-agent"], capture_output=True, text=True, check=False)
    installed = (tmp_path / "opt" / "mig" / "agent" / "bin" / "mig-agent").exists()
    subprocess.run([*rpm[:3], "-e", "--noscripts", "mig-agent"], check=True, capture_output=True)

    assert (verified.returncode, verified.stdout, installed) == (0, "", True)
    assert not (tmp_path / "opt" / "mig").exists()


def test_an_upgrade_of_the_rpm_stops_the_agent_before_files_are_replaced_and_starts_it_at_the_end(built: Built) -> None:
    asked = [
        "rpm",
        "-qp",
        "--nosignature",
        "--qf",
        "%{PREIN}=====%{POSTTRANS}=====%{POSTUN}",
        str(built.file("mig-agent-0*.rpm")),
    ]

    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout

    before, at_the_end, old_files_gone = said.split("=====")
    assert "systemctl stop" in before
    assert "systemctl start" in at_the_end
    assert "restart" not in old_files_gone
    assert "@" not in said


SYSTEM = """
set -e
cd "$1"; mkdir -p usr proc dev sbin run/systemd/system opt etc var
mount --bind /usr usr && mount -o remount,ro,bind usr && mount --bind /dev dev && mount -t proc proc proc
for one in bin lib lib64; do ln -s usr/$one $one; done
printf '#!/bin/sh\\necho "$@" >>/log\\n[ "$1" != is-active ] || echo active\\n' >sbin/systemctl
printf '#!/bin/sh\\nshift 3; "$@" >/dev/null 2>&1 & echo $! >/guard\\n' >sbin/systemd-run
chmod +x sbin/*
install() { rpm --root "$PWD" --nodeps --nosignature --excludepath /usr --force -U "$2" >>rpm.log 2>&1; }
install "$@"
: >log
mount --bind opt/mig/agent/bin opt/mig/agent/bin && mount -o remount,ro,bind opt/mig/agent/bin
! install "$@"
tail --pid="$(cat guard)" -f /dev/null
"""
"""A system of rpm's kin below a folder: systemctl writes down what it is asked, systemd-run goes on beside. The package
is installed, and once more while its programs cannot be written."""


def test_an_upgrade_of_the_rpm_that_fails_leaves_the_agent_started(built: Built, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        service_missing("a root for rpm needs root and unshare")

    command = ["unshare", "--mount", "sh", "-c", SYSTEM, "sh", str(tmp_path), str(built.file("mig-agent-0*.rpm"))]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    assert "install failed" in (tmp_path / "rpm.log").read_text(encoding="utf-8")
    asked = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert asked == [f"{verb} mig-agent.service" for verb in ("is-active", "stop", "start")]
    assert not [*(tmp_path / "run" / "mig-upgrade").iterdir()]


def test_purge_takes_every_file_that_the_role_and_the_pages_write(built: Built, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-e", str(built.file("mig-agent_*.deb")), str(tmp_path)], check=True)
    postrm = (tmp_path / "postrm").read_text(encoding="utf-8")
    role = (ROOT / "packaging" / "ansible" / "roles" / "mig_agent" / "tasks" / "main.yml").read_text(encoding="utf-8")
    pages = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("agent.md", "rollout.md", "install.md")
    )

    written = set(re.findall(r"dest: \"?(/etc/mig/[\w.-]+)", role))
    written |= set(re.findall(r"\"(/etc/mig/(?:enrolment|agent)[\w.-]+)\"", pages))

    assert {"/etc/mig/enrolment.secret", "/etc/mig/ca.pem", "/etc/mig/tags.d"} <= written
    assert {one for one in written if f" {one} " not in postrm.replace("\n", " ")} == set()


def test_every_program_of_every_package_has_its_manual_and_its_completions() -> None:
    code = """
from packages.contents import PACKAGES
from packages.completions import completions
from packages.manual import pages
for package in PACKAGES:
    for program, target in package.programs.items():
        texts = [page.text("1") for page in pages(program, target)]
        print(program, len(texts), len(completions(program, target)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools"), "PYTHONDONTWRITEBYTECODE": "1"}

    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    made = {program: (int(pages), int(files)) for program, pages, files in map(str.split, ran.stdout.splitlines())}
    assert made.keys() == {"mig-agent", "mig-api", "mig-scheduler", "mig-admin", "mig", "mig-console"}
    assert made["mig"][0] > 40
    assert made["mig"][1] == made["mig-agent"][1] == 3
