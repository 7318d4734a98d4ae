#!/bin/sh
# dissect.target leaves jobs with @reboot, @daily and their like out of `cronjobs`, without a word.
#
# A line of a crontab is a job for it if it has five fields of time. @reboot is how a program is started at each start of
# the system: the very line that one looks for. The command of /etc/crontab's lines has the user's name before it.
# Seen with dissect.target 3.25.1. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check dissect.target==3.25.1
mkdir -p "$place/system/etc" "$place/system/var/spool/cron/crontabs"
echo 'root:x:0:0::/root:/bin/sh' >"$place/system/etc/passwd"
printf '17 * * * * root /seen\n@reboot root /at-each-start\n@hourly root /each-hour\n' >"$place/system/etc/crontab"
printf '@daily /daily\n5 0 * * * /seen-too\n' >"$place/system/var/spool/cron/crontabs/bob"
"$place/venv/bin/python" - "$place/system" <<'PYTHON'
import logging
import sys
from importlib.metadata import version

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
jobs = sorted(one.command for one in target.cronjobs() if hasattr(one, "command"))
print(f"jobs in the two files: 5; given: {jobs}")
sys.exit(0 if jobs == ["/seen-too", "root /seen"] else 1)
PYTHON
