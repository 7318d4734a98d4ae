#!/bin/sh
# `cvtsudoers -f json` writes what is no JSON as soon as one rule has CWD=, CHROOT=, or ROLE= with TYPE=, and ends with 0.
#
# These options come out as members of a list ("Options": ["runcwd": "/tmp"]), which no reader takes, so one such line
# among thousands costs the whole file; who skips files that are no JSON never sees that host's rules. CSV is whole;
# TIMEOUT=, NOTAFTER= and the tags are written as they should be.
# Seen with sudo 1.9.13p3-1+deb12u4 of Debian 12, amd64. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
apt-get download -q sudo=1.9.13p3-1+deb12u4 >/dev/null 2>&1
dpkg -x sudo_*.deb unpacked
convert() { LD_LIBRARY_PATH="$place/unpacked/usr/libexec/sudo" "$place/unpacked/usr/bin/cvtsudoers" -c "" "$@"; }
convert -V | head -1
seen=""
for option in TIMEOUT=5m NOTAFTER=20300101000000Z NOPASSWD: CWD=/tmp CHROOT=/srv "ROLE=r TYPE=t"; do
    printf 'root ALL=(ALL) ALL\nbob ALL=(ALL) %s /usr/bin/id\n' "$option" >sudoers
    status=0
    convert -f json -o rules.json sudoers || status=$?
    lines=$(convert -f csv sudoers | grep -c '^rule,\(root\|bob\),')
    if python3 -c 'import json; json.load(open("rules.json"))' 2>error; then json=yes; else json=no; fi
    echo "$option status $status, JSON: $json, rules in CSV: $lines"
    [ $json = yes ] || grep -h '"runc\|"role\|"type' rules.json
    seen="$seen$status$json$lines "
done
[ "$seen" = "0yes2 0yes2 0yes2 0no2 0no2 0no2 " ]
