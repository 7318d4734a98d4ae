"""The order: what was built before goes, then package after package is staged and made."""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from packages.completions import completions
from packages.contents import BY_NAME, PACKAGING, PACKAGES, ROOT, Package
from packages.environment import make_environment
from packages.manual import pages
from packages.nfpm import SCRIPTS, make_file

EXAMPLES = {"mig-agent": ("agent.toml", "acl.json"), "mig-server": ("api.toml", "scheduler.toml")}
FURTHER = {
    "mig-server": ("prometheus/mig.rules.yml", "grafana/mig.json", "proxies/nginx.conf", "proxies/haproxy.cfg", "proxies/Caddyfile"),
}
"""What goes beside them: alert rules, a dashboard, and configurations of proxies."""


def main() -> int:
    """Builds; returns the exit status."""
    parser = argparse.ArgumentParser(prog="build-packages", description="Builds deb and rpm packages.")
    parser.add_argument("names", nargs="*", metavar="PACKAGE", help=f"default: all of {', '.join(BY_NAME)}")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "packages")
    parser.add_argument("--number", action="append", help="version of the packages; further ones are for mig-agent alone (for tests of upgrades)")
    parser.add_argument("--kind", action="append", choices=sorted(SCRIPTS), help="repeatable; default: all")
    options = parser.parse_args()
    unknown = set(options.names) - BY_NAME.keys()
    if unknown:
        parser.error(f"no such package: {', '.join(sorted(unknown))}")
    numbers = options.number or [_version()]
    os.umask(0o022)
    options.out.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _last_commit())
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    with tempfile.TemporaryDirectory(prefix="mig-packages-") as folder:
        for package in PACKAGES:
            if options.names and package.name not in options.names:
                continue
            began = time.monotonic()
            stage = Path(folder) / package.name
            _stage(package, stage, Path(folder), numbers[0])
            made = [
                make_file(package, stage, Path(folder), options.out, number, epoch, kind)
                for number in (numbers if package.name == "mig-agent" else numbers[:1])
                for kind in options.kind or sorted(SCRIPTS)
            ]
            installed = sum(one.lstat().st_size for one in stage.rglob("*") if not one.is_dir()) / 1e6
            names = ", ".join(f"{one.name} {one.stat().st_size / 1e6:.1f} MB" for one in made)
            sys.stdout.write(f"{names}; installed {installed:.1f} MB; {time.monotonic() - began:.0f} s\n")
            shutil.rmtree(stage)
    return 0


def _stage(package: Package, stage: Path, work: Path, version: str) -> None:
    make_environment(package, stage, work)
    for program, target in package.programs.items():
        for page in pages(program, target):
            manual = stage / "usr/share/man/man1" / f"{page.file}.gz"
            manual.parent.mkdir(parents=True, exist_ok=True)
            manual.write_bytes(gzip.compress(page.text(version).encode("utf-8"), mtime=0))
        for place, text in completions(program, target).items():
            _write(stage / place, text)
    for unit in package.units:
        _write(stage / "usr/lib/systemd/system" / unit, (PACKAGING / "systemd" / unit).read_text(encoding="utf-8"))
    if package.units:
        _write(stage / f"usr/lib/systemd/system-preset/50-{package.name}.preset", "".join(f"enable {unit}\n" for unit in package.units))
    for kind in ("sysusers.d", "tmpfiles.d"):
        file = PACKAGING / kind / f"{package.name}.conf"
        if file.exists():
            _write(stage / "usr/lib" / kind / file.name, file.read_text(encoding="utf-8"))
    for folder in package.etc:
        (stage / "etc/mig" / folder).mkdir(parents=True)
    documents = stage / "usr/share/doc" / package.name
    _write(documents / "copyright", (ROOT / "NOTICE").read_text(encoding="utf-8") + "\n" + (ROOT / "LICENSE").read_text("utf-8"))
    for name in EXAMPLES.get(package.name, ()):
        _write(documents / "examples" / name, (PACKAGING / "examples" / name).read_text(encoding="utf-8"))
    for name in FURTHER.get(package.name, ()):
        _write(documents / "examples" / Path(name).name, (PACKAGING / name).read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _version() -> str:
    found = re.search(r'(?m)^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found
    return found[1]


def _last_commit() -> str:
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=False, capture_output=True, text=True)
    return asked.stdout.strip() or "0"
