#!/bin/sh
# Four functions of YARA's modules give another number in YARA-X, or none, so that rules for the one mean something else.
#
# string.to_int reads 0x10 and 011 as C does in YARA, and as decimal only in YARA-X (undefined, 11); math.max and
# math.min compare without a sign in YARA; math.mode of an empty file is 0 in YARA and undefined in YARA-X. No warning.
# Seen with yara-python 4.5.4 and yara-x 1.23.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check yara-python==4.5.4 yara-x==1.23.0
"$place/venv/bin/python" - <<'PYTHON'
import sys

import yara
import yara_x

MODULES = 'import "string" import "math" '
EXPECTED = {  # condition, data: (YARA, YARA-X)
    ('string.to_int("0x10") == 16', b"text"): (True, False),
    ('string.to_int("011") == 11', b"text"): (False, True),
    ("math.max(-1, 1) == 1", b"text"): (False, True),
    ("math.min(-1, 1) == 1", b"text"): (True, False),
    ("math.mode() == 0", b""): (True, False),
}
print("YARA", yara.__version__)
right = True
for (condition, data), expected in EXPECTED.items():
    rule = f"{MODULES} rule r {{ condition: {condition} }}"
    compiler = yara_x.Compiler()
    compiler.add_source(rule)
    warnings = [one["code"] for one in compiler.warnings()]
    said = bool(yara.compile(source=rule).match(data=data)), bool(compiler.build().scan(data).matching_rules)
    print(f"{condition} on {data!r}: YARA {said[0]}, YARA-X {said[1]}, warnings {warnings}")
    right = right and said == expected
sys.exit(0 if right else 1)
PYTHON
