"""A Python environment for a place below /opt/mig: our wheels, and the libraries that constraints.txt pins, by their hashes.

It is an ordinary virtual environment of the system's Python, without an absolute path of the machine it was made on. Everything
is compiled, and what was compiled is never compared with its source again: nothing is written where it is installed, and
two builds of one commit are the same to the byte.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from packages.contents import BY_NAME, ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packages.contents import Package

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==.*\n(?:    --hash=.*\n?)+")
_LAUNCHER = """\
#!{place}/bin/python3 -IB
import sys

from {module} import {function}

sys.exit({function}())
"""
PLUGINS = "plugins/current"
"""Below an environment with pip: where ``mig-agent plugins`` puts what it adds (mig_core.agent.extending.place)."""


def wanted(package: Package) -> frozenset[str]:
    """Names of all distributions that a package brings."""
    there = frozenset().union(*(wanted(BY_NAME[name]) for name in package.beside))
    return frozenset(_closure(package.roots)) - there


def _closure(roots: Iterable[str]) -> set[str]:
    """What the roots need, as the distributions installed beside this program say."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found and one.extras <= found[name]:
            continue
        extras = found.setdefault(name, set())
        extras |= one.extras
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                waiting.append(requirement)
    return set(found)


@cache
def own_projects() -> dict[str, Path]:
    """Folder of each of our distributions, by name."""
    projects = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    names = (re.search(r'(?m)^name = "(.*)"$', one.read_text(encoding="utf-8")) for one in projects)
    return {str(name[1]): one.parent for name, one in zip(names, projects, strict=True) if name}


def make_environment(package: Package, stage: Path, work: Path) -> None:
    """Puts a package's distributions, programs and interpreter below ``stage``, as they will lie below ``/``."""
    place = stage / package.environment.lstrip("/")
    site = place / "lib" / PYTHON / "site-packages"
    site.mkdir(parents=True)
    names = wanted(package)
    own = sorted(names & own_projects().keys())
    _install(site, ["--no-index", *(str(wheel(name, work)) for name in own)])
    pins = work / f"{package.name}.txt"
    pins.write_text("".join(_pinned(names - set(own))), encoding="utf-8")
    if pins.stat().st_size:
        _install(site, ["--require-hashes", "--requirement", str(pins)])
    _trim(site)
    _compile(site, package.environment)
    if not package.beside:
        (place / "bin").mkdir()
        (place / "bin" / "python3").symlink_to(f"/usr/bin/{PYTHON}")
        (place / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", encoding="utf-8")
    for program, target in package.programs.items():
        module, function = target.split(":")
        script = place / "bin" / program
        script.write_text(_LAUNCHER.format(place=package.environment, module=module, function=function), encoding="utf-8")
        script.chmod(0o755)
        link = stage / "usr" / "bin" / program
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{package.environment}/bin/{program}")
    if package.pip:
        _bring_pip(place, site, package.environment, work)


def _bring_pip(place: Path, site: Path, final: str, work: Path) -> None:
    """pip as one file beside the environment, and the place of added plugins on the path."""
    pins = work / "pip.txt"
    pins.write_text("".join(_pinned({"pip"})), encoding="utf-8")
    got = work / "pip"
    subprocess.run([*_pip("download"), "--no-deps", "--require-hashes", "-d", str(got), "-r", str(pins)], check=True)
    (file,) = got.glob("pip-*.whl")
    (place / "share").mkdir()
    shutil.copyfile(file, place / "share" / "pip.whl")
    (site / "mig-plugins.pth").write_text(f"{final}/{PLUGINS}\n", encoding="utf-8")


def wheel(name: str, work: Path) -> Path:
    """The wheel of one of our distributions, built once."""
    folder = work / "wheels" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=own_projects()[name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (file,) = folder.glob("*.whl")
    return file


def _pinned(names: Iterable[str]) -> Iterator[str]:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = {canonicalize_name(one[1]): one[0] for one in _PINNED.finditer(text)}
    for name in sorted(names):
        yield found[name]


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", command, "-qq", "--disable-pip-version-check", "--only-binary", ":all:"]


def _install(site: Path, words: list[str]) -> None:
    if words != ["--no-index"]:
        options = ["--no-deps", "--no-compile", "--no-warn-script-location", "--target", str(site)]
        subprocess.run([*_pip("install"), *options, *words], check=True)


def _trim(site: Path) -> None:
    """Takes away what nobody runs there: programs that pip wrote, libraries' own tests, and where wheels lay."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    gone = [*site.glob("*.dist-info/direct_url.json"), *site.glob("*.dist-info/REQUESTED"), *site.rglob("*.pyi")]
    for file in gone:
        file.unlink()
    for folder in [one for one in site.glob("*/tests") if one.parent.name != "mig_core"]:
        shutil.rmtree(folder)
    shutil.rmtree(site / "mig_core" / "testing", ignore_errors=True)
    shutil.rmtree(site / "mig_endpoint" / "testing", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row and (site / row[0]).exists()]
        with record.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _compile(site: Path, environment: str) -> None:
    final = f"{environment}/lib/{PYTHON}/site-packages"
    words = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(site), "-p", final, str(site)]
    # The seed decides the order of sets in compiled code.
    subprocess.run([sys.executable, "-m", "compileall", *words], check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
