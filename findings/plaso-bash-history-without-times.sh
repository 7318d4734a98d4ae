#!/bin/sh
# Plaso finds nothing in a bash history whose first two commands have no time, not even the commands that have one.
#
# A history gets lines with times from the day HISTTIMEFORMAT is set; what is older stands before them without. Plaso's
# bash_history takes a file that begins with one such command (its own words: "desynchronized") and none with two: no
# event, no warning, as if the user had no history. What was typed after the change, with its times, is lost with it.
# Seen with plaso 20260720. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check plaso==20260720
"$place/venv/bin/python" -c 'from importlib.metadata import version; print("plaso", version("plaso"))'
cd "$place"
mkdir -p case/none case/one case/two
timed='#1700000000\ncat /etc/passwd\n#1700000060\nid\n'
printf "$timed" >case/none/.bash_history
printf "uname -a\n$timed" >case/one/.bash_history
printf "uname -a\nwhoami\n$timed" >case/two/.bash_history
venv/bin/log2timeline -q -u --status_view none --single_process --logfile log --storage_file case.plaso case >/dev/null 2>&1
venv/bin/psort -q -u --status_view none --logfile log -o json_line -w events.json case.plaso >/dev/null 2>&1
warnings=$(venv/bin/pinfo case.plaso 2>/dev/null | grep -c "No warnings stored" || true)
commands() { grep '"bash:history:entry"' events.json | grep -c "case/$1/" || true; }
none=$(commands none) one=$(commands one) two=$(commands two)
echo "commands found, of 2 with times and 0, 1 and 2 without before them: $none, $one, $two; says it has no warnings: $warnings"
[ "$none $one $two $warnings" = "2 3 0 1" ]
