#!/bin/sh
# Plaso shows one line of a transaction of apt: what was installed is not there if the same one also removed something.
#
# apt writes Install, Upgrade, Downgrade, Remove and Purge as lines of one entry of history.log. Plaso's
# apt_history keeps the last of them: of a full-upgrade only what was removed, and the packages that came are in no event.
# No warning. (The lines of dpkg.log, which is kept as long, are all there.)
# Seen with plaso 20260720. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check plaso==20260720
"$place/venv/bin/python" -c 'from importlib.metadata import version; print("plaso", version("plaso"))'
cd "$place"
mkdir -p case/var/log/apt
cat >case/var/log/apt/history.log <<'END'

Start-Date: 2026-11-01  10:00:00
Commandline: apt full-upgrade
Install: came:amd64 (1.0-1, automatic)
Upgrade: upgraded:amd64 (1.0, 1.1)
Remove: removed:amd64 (1.0)
End-Date: 2026-11-01  10:00:05

Start-Date: 2026-11-02  10:00:00
Commandline: packagekit role='update-packages'
Install: alone:amd64 (1.0)
End-Date: 2026-11-02  10:00:05
END
venv/bin/log2timeline -q -u --status_view none --single_process --logfile log --storage_file case.plaso case >/dev/null 2>&1
venv/bin/psort -q -u --status_view none --logfile log -o json_line -w events.json case.plaso >/dev/null 2>&1
warnings=$(venv/bin/pinfo case.plaso 2>/dev/null | grep -c "No warnings stored" || true)
found=""
for one in came upgraded removed alone; do
    if grep '"data_type": "linux:apt_history' events.json | grep -q "$one:amd64"; then found="$found$one "; fi
done
echo "packages in the file: came upgraded removed alone; in events: $found; says it has no warnings: $warnings"
[ "$found$warnings" = "removed alone 1" ]
