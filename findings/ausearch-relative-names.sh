#!/bin/sh
# `ausearch -f /etc/passwd` does not find an access to it by a relative name without dots.
#
# A PATH record has the name as the call gave it, and the CWD record what it is relative to. ausearch puts the two
# together for "../etc/passwd" and not for "passwd" with cwd /etc, which people who work in /etc write every day:
# `ausearch -f passwd` finds it (with all other files whose paths have that text in them). -f is a search for a part of
# the text; -w, for the whole text, finds what was named in full only. aureport -f prints "passwd" without a folder too.
# Seen with auditd 3.0.9 of Debian 12, amd64. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
apt-get download -q auditd=1:3.0.9-1 libauparse0=1:3.0.9-1 libaudit1=1:3.0.9-1 >/dev/null 2>&1
for one in *.deb; do dpkg -x "$one" unpacked; done
libraries=$(find "$place/unpacked" -name "*.so.*" -exec dirname {} + | sort -u | tr '\n' ':')
look() { LD_LIBRARY_PATH="$libraries" "$place/unpacked/sbin/ausearch" "$@"; }
look -v
event() { # number, cwd, name
    at="audit(170000000$1.100:$1)"
    echo "type=SYSCALL msg=$at: arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=7ffc a2=0 a3=0 items=1 ppid=1" \
        "pid=10 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1 comm=\"cat\" exe=\"/usr/bin/cat\" subj=unconfined key=(null)"
    echo "type=CWD msg=$at: cwd=\"$2\""
    echo "type=PATH msg=$at: item=0 name=\"$3\" inode=1 dev=08:01 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL" \
        "cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
}
{ event 1 /etc passwd; event 2 /tmp ../etc/passwd; event 3 /tmp /etc/passwd; } >audit.log
found() { look --input audit.log "$@" 2>/dev/null | sed -n 's/^type=SYSCALL msg=audit([0-9.]*:\([0-9]\)).*/\1/p' | tr '\n' ' '; }
absolute=$(found -f /etc/passwd)
part=$(found -f passwd)
whole=$(found -w -f /etc/passwd)
echo "events: 1 cwd=/etc name=passwd, 2 cwd=/tmp name=../etc/passwd, 3 name=/etc/passwd"
echo "found by -f /etc/passwd: $absolute; by -f passwd: $part; by -w -f /etc/passwd: $whole"
[ "$absolute|$part|$whole" = "2 3 |1 2 3 |3 " ]
