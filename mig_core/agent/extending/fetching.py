"""What pip would install, and its files: pip decides, this process puts nothing into the agent's own environment.

Only wheels: building from source would run other people's code as root, and needs compilers. What the agent came with
is pinned, so a plugin that needs another version of it is refused instead of changing it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Chosen:
    """A distribution that pip would install; ``source`` is the address of its file."""

    name: str
    version: str
    sha256: str
    source: str
    for_itself: bool


def own_distributions(site: Path) -> dict[str, str]:
    """Names, in lower case with dashes, and versions of what an environment came with."""
    found = metadata.distributions(path=[str(site)])
    return {normal(one.name): one.version for one in found}


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return name.lower().replace("_", "-").replace(".", "-")


def choose(wanted: str, site: Path, work: Path) -> Sequence[Chosen]:
    """What has to be installed so that ``wanted``, a requirement or a wheel's path, works here; nothing if it does.

    Raises:
        PluginError: it cannot be had, or does not go with what the agent came with.
    """
    pins = work / "pins.txt"
    pins.write_text(
        "".join(f"{name}=={version}\n" for name, version in own_distributions(site).items()), encoding="utf-8"
    )
    report = work / "report.json"
    words = ["install", "--dry-run", "--report", str(report), "--constraint", str(pins), "--upgrade"]
    _run_pip([*words, "--upgrade-strategy", "only-if-needed", "--", wanted], wanted)
    chosen = []
    for one in json.loads(report.read_bytes())["install"]:
        about, came = one["metadata"], one["download_info"]
        digest = came.get("archive_info", {}).get("hashes", {}).get("sha256", "")
        chosen.append(Chosen(about["name"], about["version"], digest, came["url"], bool(one["requested"])))
    return chosen


def fetch(chosen: Sequence[Chosen], work: Path) -> Path:
    """Puts the files of what was chosen into a folder, each with the hash it had when it was chosen.

    Raises:
        PluginError: pip could not.
    """
    lines = []
    for one in chosen:
        named = one.source if one.source.startswith("file:") else f"{one.name}=={one.version}"
        lines.append(f"{named} --hash=sha256:{one.sha256}\n")
    listed, folder = work / "chosen.txt", work / "got"
    listed.write_text("".join(lines), encoding="utf-8")
    words = ["install", "--no-deps", "--require-hashes", "--no-compile", "--target", str(folder), "-r", str(listed)]
    _run_pip(words, chosen[0].name)
    return folder


def _run_pip(words: Sequence[str], wanted: str) -> None:
    command, *rest = words
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]
    environment = {**os.environ, "PIP_NO_WARN_SCRIPT_LOCATION": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-P", *_pip(), command, *options, *rest],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        env=environment,
        check=False,
    )
    if ran.returncode:
        said = [line.removeprefix("ERROR: ") for line in ran.stderr.splitlines() if line.startswith("ERROR: ")]
        problem = "; ".join(said)[:600] or ran.stderr.strip()[-600:]
        step = "nothing was changed; a plugin has to come as a wheel and go with the versions the agent came with"
        raise PluginError(wanted, f"pip could not have it: {problem}", next_step=step)


def _pip() -> Sequence[str]:
    """pip, from the file that the agent's package brings, or as it is installed."""
    beside = Path(sys.prefix) / "share" / "pip.whl"
    if beside.exists():
        return (str(beside / "pip"),)
    if importlib.util.find_spec("pip"):
        return ("-m", "pip")
    raise PluginError("pip", "is not installed in this environment", next_step=f"{sys.executable} -m ensurepip")
