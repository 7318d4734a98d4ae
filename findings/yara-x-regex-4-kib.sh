#!/bin/sh
# Regular expressions of YARA-X, and hex strings that end in few bytes, find no match longer than 4 KiB, and say nothing.
#
# /abcd.{0,10000}z/s and { 61 62 63 64 [0-10000] 7a } compile without a warning, find 4,000 bytes between their ends and
# not 5,000, even with an open jump ([0-]); the hex string with three bytes more at its end finds both.
# Seen with yara-x 1.23.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check yara-x==1.23.0
"$place/venv/bin/python" - <<'END'
import yara_x

PATTERNS = {"regex": "/abcd.{0,10000}z/s", "short_end": "{ 61 62 63 64 [0-] 7a }"}
PATTERNS["long_end"] = "{ 61 62 63 64 [0-10000] 7a 7b 7c 7d }"
compiler = yara_x.Compiler()
for name, pattern in PATTERNS.items():
    compiler.add_source(f"rule {name} {{ strings: $a = {pattern} condition: $a }}")
print("warnings:", [one["code"] for one in compiler.warnings() if one["code"] != "slow_pattern"])
rules = compiler.build()
found = {}
for length in (4000, 5000):
    found[length] = {one.identifier for one in rules.scan(b"abcd" + b"." * length + b"z{|}").matching_rules}
    print(length, "bytes between:", sorted(found[length]))
assert found == {4000: {"regex", "short_end", "long_end"}, 5000: {"long_end"}}
END
