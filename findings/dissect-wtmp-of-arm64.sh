#!/bin/sh
# dissect.target reads a wtmp of arm64 with the records of x86-64: wrong names and times, and no error.
#
# A record is 400 bytes with 64-bit times on arm64 (and with musl), and 384 with 32-bit times on x86-64. From the second
# login on, users' and computers' names are cut out of the wrong places, and every login is one of 1970. The size of the
# file, or where the types and names lie, tells which it is.
# Seen with dissect.target 3.25.1. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check dissect.target==3.25.1
"$place/venv/bin/python" - <<'PYTHON'
import logging
import struct
import sys
from importlib.metadata import version
from io import BytesIO

logging.disable(logging.CRITICAL)
from dissect.target import Target
from dissect.target.filesystem import VirtualFilesystem
from dissect.target.plugins.os.unix.linux._os import LinuxPlugin

print("dissect.target", version("dissect.target"))
BEGIN = "<h2xi32s4s32s256s2h"  # type, pid, line, id, user, host, exit status
FORMS = {"x86-64": BEGIN + "iii4i20x", "arm64": BEGIN + "qqq4i24x"}  # session, seconds, microseconds, address
SIZES = {"x86-64": 384, "arm64": 400}


def logins(form):
    records = b"".join(
        struct.pack(FORMS[form], 7, 100 + n, b"pts/0", b"ts/0", b"user%d" % n, b"host%d" % n, 0, 0, 0, 1700000000 + n, 0, 0, 0, 0, 0)
        for n in range(3)
    )
    assert len(records) == 3 * SIZES[form], len(records)
    files = VirtualFilesystem()
    for path, content in {"/etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "/var/log/wtmp": records}.items():
        files.map_file_fh(path, BytesIO(content))
    target = Target()
    target.filesystems.add(files)
    target.fs.mount("/", files)
    target._os_plugin = LinuxPlugin
    target.apply()
    return [(one.ut_user, one.ut_host, one.ts.year) for one in target.wtmp()]


found = {form: logins(form) for form in FORMS}
for form, rows in found.items():
    print(f"{form}, three logins of user0 to user2 in 2023: {rows}")
right = [(f"user{n}", f"host{n}", 2023) for n in range(3)]
wrong = found["arm64"]
sys.exit(0 if found["x86-64"] == right and {row[2] for row in wrong} == {1970} and wrong[1][0] != "user1" else 1)
PYTHON
