#!/bin/sh
# getcap does not name the capabilities of a file that has all of them, and names those that a file has not.
#
# All is "=ep", and all but one is "=ep cap_setuid-ep": so `getcap -r / | grep cap_setuid`, which looks for programs that may
# become root, passes over the most powerful ones and reports the one that may not. Only the bits of the attribute, or a
# program that reads "-" as taking away, tell what a file has.
# Needs root, and a file system with extended attributes. Seen with libcap2-bin 2.66 of Debian 12, amd64. Exits 1 when that
# has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
version="1:2.66-4+deb12u3+b1"
apt-get download -q "libcap2-bin=$version" "libcap2=$version" >/dev/null 2>&1
for one in *.deb; do dpkg -x "$one" unpacked; done
LD_LIBRARY_PATH=$(dirname "$(find unpacked -name 'libcap.so.2' | head -1)")
export LD_LIBRARY_PATH
tools=$(dirname "$(find unpacked -name getcap -type f)")
for one in all all-but-setuid setuid-only; do : >"$one"; done
"$tools/setcap" all=ep all
"$tools/setcap" 'all=ep cap_setuid-ep' all-but-setuid
"$tools/setcap" cap_setuid=ep setuid-only
python3 - all all-but-setuid setuid-only <<'PYTHON'
import os
import struct
import sys

for name in sys.argv[1:]:
    low = struct.unpack_from("<I", os.getxattr(name, "security.capability"), 4)[0]
    print(f"{name} has cap_setuid (bit 7): {bool(low >> 7 & 1)}")
PYTHON
"$tools/getcap" all all-but-setuid setuid-only | tee seen
echo "found by grep cap_setuid:" $("$tools/getcap" all all-but-setuid setuid-only | grep cap_setuid | cut -d' ' -f1)
cat >expected <<'SEEN'
all =ep
all-but-setuid =ep cap_setuid-ep
setuid-only cap_setuid=ep
SEEN
cmp -s seen expected
