#!/bin/sh
# univers says that a version is in no range that begins with it, where it is only written differently.
#
# 1.00-1 and 1.0-1 are one version to dpkg. A DebianVersion of univers agrees in <= and >=, but not in ==, so
# "vers:deb/>=1.00-1|<2" does not contain 1.0-1, and "vers:deb/!=1.0-1" contains 1.00-1: affected packages count as not
# affected. (Semantic versions that differ in build metadata only are the same case.)
# Seen with univers 32.0.1. Needs dpkg. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check univers==32.0.1
dpkg --compare-versions 1.00-1 eq 1.0-1 && echo "dpkg: 1.00-1 is 1.0-1"
"$place/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from univers.version_range import VersionRange
from univers.versions import DebianVersion

print("univers", version("univers"))
left, right = DebianVersion("1.00-1"), DebianVersion("1.0-1")
said = {"<=": left <= right, ">=": left >= right, "==": left == right}
print("DebianVersion 1.00-1 and 1.0-1:", said)
ranges = {}
for text, one in (("vers:deb/>=1.00-1|<2", "1.0-1"), ("vers:deb/>=1.0-1|<2", "1.0-1"), ("vers:deb/!=1.0-1", "1.00-1")):
    ranges[text] = DebianVersion(one) in VersionRange.from_string(text)
    print(f"{one} in {text}: {ranges[text]}")
sys.exit(0 if [*said.values(), *ranges.values()] == [True, True, False, False, True, True] else 1)
PYTHON
