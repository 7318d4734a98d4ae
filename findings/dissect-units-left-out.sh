#!/bin/sh
# dissect.target's `services` has no unit of a user's own systemd, and none below /run and /usr/local/lib.
#
# ~/.config/systemd/user and /etc/systemd/user are where a program starts at a user's login without any right; systemd
# also takes units from /run/systemd/system and /usr/local/lib/systemd/system. What is there is not in the rows.
# Seen with dissect.target 3.25.1. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check dissect.target==3.25.1
mkdir -p "$place/system/etc"
echo 'bob:x:1000:1000::/home/bob:/bin/sh' >"$place/system/etc/passwd"
unit() { # folder, name
    mkdir -p "$place/system$1"
    printf '[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/%s\n\n[Install]\nWantedBy=default.target\n' "$2" >"$place/system$1/$2.service"
}
unit /etc/systemd/system admin
unit /usr/lib/systemd/system vendor
unit /usr/local/lib/systemd/system local
unit /run/systemd/system runtime
unit /etc/systemd/user everybody
unit /home/bob/.config/systemd/user bob
"$place/venv/bin/python" - "$place/system" <<'PYTHON'
import logging
import sys
from importlib.metadata import version
from pathlib import Path

logging.disable(logging.CRITICAL)
from dissect.target import Target
from dissect.target.filesystem import VirtualFilesystem
from dissect.target.plugins.os.unix.linux._os import LinuxPlugin

print("dissect.target", version("dissect.target"))
files = VirtualFilesystem()
files.map_dir("/", sys.argv[1])
target = Target()
target.filesystems.add(files)
target.fs.mount("/", files)
target._os_plugin = LinuxPlugin
target.apply()
given = {one.name for one in target.services()}
there = {path.name for path in Path(sys.argv[1]).rglob("*.service")}
print("given:", sorted(given))
print("left out:", sorted(there - given))
sys.exit(0 if given == {"admin.service", "vendor.service"} and len(there) == 6 else 1)
PYTHON
