#!/bin/sh
# Plaso and dissect.target leave out the lines of a syslog whose ISO times have no six digits of a second's fraction.
#
# rsyslog's file format writes what it was told: six digits for what comes by /dev/log, none for what other hosts send in
# the old form ("Nov  1 10:00:06"), three or a "Z" where they send that. So on a log host the lines of the other hosts are
# gone: in Plaso they become part of the message before them (no event, no user, no time), or the whole file has no event;
# dissect.target's authlog gives no row. Neither warns of a line that it cannot read.
# Seen with plaso 20260720 and dissect.target 3.25.1; the times as rsyslog 8.2302.0 writes them. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for tool in plaso==20260720 dissect.target==3.25.1; do
    python3 -m venv "$place/${tool%%=*}"
    "$place/${tool%%=*}/bin/python" -m pip install --quiet --disable-pip-version-check "$tool"
    echo "$tool"
done
cd "$place"
line() { # case, time, text
    mkdir -p "case/$1/var/log" "case/$1/etc"
    echo "$2 host sshd[17]: Accepted password for $3 from 192.0.2.1 port 22 ssh2" >>"case/$1/var/log/auth.log"
}
for second in 01 02 03; do
    line six "2026-11-01T10:00:$second.123456+01:00" "local$second"
    line none "2026-11-01T10:00:$second+01:00" "sent$second"
    line three "2026-11-01T10:00:$second.123+01:00" "sent$second"
    line zulu "2026-11-01T10:00:$second.123456Z" "sent$second"
    line mixed "2026-11-01T10:00:$second.123456+01:00" "local$second"
    line mixed "2026-11-01T10:00:$second+01:00" "sent$second"
done
plaso/bin/log2timeline -q -u --status_view none --single_process --logfile log --storage_file case.plaso case >/dev/null 2>&1
plaso/bin/psort -q -u --status_view none --logfile log -o json_line -w events.json case.plaso >/dev/null 2>&1
cat >rows.py <<'PYTHON'
import logging
import sys

logging.disable(logging.CRITICAL)
from dissect.target import Target
from dissect.target.filesystem import VirtualFilesystem
from dissect.target.plugins.os.unix.linux._os import LinuxPlugin

files = VirtualFilesystem()
files.map_dir("/", sys.argv[1])
target = Target()
target.filesystems.add(files)
target.fs.mount("/", files)
target._os_plugin = LinuxPlugin
target.apply()
print(sum(1 for _ in target.authlog()))
PYTHON
seen=""
for one in six none three zulu mixed; do
    events=$(grep '"data_type": "syslog' events.json | grep -c "case/$one/" || true)
    rows=$(dissect.target/bin/python rows.py "case/$one")
    echo "$one: $(wc -l <"case/$one/var/log/auth.log") logins, Plaso has $events events, dissect.target $rows rows"
    seen="$seen$events/$rows "
done
swallowed=$(grep '"data_type": "syslog' events.json | grep "case/mixed/" | grep local01 | grep -c sent01 || true)
echo "events of a local login with another host's login in their message: $swallowed"
[ "$seen$swallowed" = "3/3 0/0 0/0 0/0 3/3 1" ]
