#!/bin/sh
# ppdeep makes the fuzzy hashes that ssdeep makes, and compares them to higher scores: a threshold for one is none for the other.
#
# A character that is replaced costs ssdeep as much as one taken out and one put in, and ppdeep half of it. Where ssdeep
# says 83, ppdeep says 91; where it says 99 of two hashes that differ, ppdeep says 100, which people read as "the same".
# Seen with ppdeep 20260221 and ssdeep 2.14.1 of Debian 12, amd64. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
version="2.14.1+git20180629.57fcfff-3"
apt-get download -q "ssdeep=$version" "libfuzzy2=$version" >/dev/null 2>&1
for one in *.deb; do dpkg -x "$one" unpacked; done
libraries=$(find "$place/unpacked" -name "*.so.*" -exec dirname {} + | sort -u | tr '\n' ':')
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check ppdeep==20260221
LD_LIBRARY_PATH="$libraries" "$place/venv/bin/python" - "$place/unpacked/usr/bin/ssdeep" <<'PYTHON'
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import ppdeep

tool = sys.argv[1]
print("ppdeep", version("ppdeep"), "ssdeep", subprocess.run([tool, "-V"], capture_output=True, text=True).stdout.strip())
chance = random.Random(1)


def by_ssdeep(*arguments):
    """The lines of an answer of ssdeep, without its heading."""
    return subprocess.run([tool, "-s", *arguments], capture_output=True, text=True).stdout.splitlines()


same_hashes, scores = True, []
for changes in (1, 3, 6, 10, 15, 20, 30, 40):
    text = chance.randbytes(8000)
    other = bytearray(text)
    for _ in range(changes):
        other[chance.randrange(len(other))] ^= 1
    Path("one").write_bytes(text)
    Path("two").write_bytes(other)
    hashes = [ppdeep.hash(text), ppdeep.hash(bytes(other))]
    same_hashes &= [line.split(",")[0] for line in by_ssdeep("one", "two")[1:]] == hashes
    matched = by_ssdeep("-p", "-a", "one", "two")[0]
    scores.append((int(matched.rsplit("(", 1)[1].rstrip(")")), ppdeep.compare(*hashes), hashes[0] == hashes[1]))
print("the same hashes of 16 files:", same_hashes)
for theirs, ours, equal in scores:
    print(f"ssdeep {theirs:3}  ppdeep {ours:3}  hashes equal: {equal}")
higher = sum(ours > theirs for theirs, ours, _ in scores)
full = any(ours == 100 and not equal for _, ours, equal in scores)
sys.exit(0 if same_hashes and higher >= 5 and full else 1)
PYTHON
