#!/bin/sh
# Ten forms of regular expressions compile in YARA and in YARA-X, and are other expressions there; neither says a word.
#
# YARA takes what it has no meaning for as the letters themselves: [[:alpha:]] is one of [ : a l p h and then a ], \A \v \z
# are letters, \u0041 is u0041, && in a set is an ampersand. YARA-X has a meaning for all of them. Public rules were written
# against one of the two: a rule for "one letter" or "at the end of the file" finds nothing in the other.
# YARA-X's relaxed_re_syntax, which is there for YARA's rules, changes none of the ten.
# Seen with yara-python 4.5.4 and yara-x 1.23.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check yara-python==4.5.4 yara-x==1.23.0
"$place/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import yara
import yara_x

EXPECTED = {  # expression: data, what YARA finds in it, what YARA-X does
    "[[:alpha:]]1": (b"a1 p]1", [b"p]1"], [b"a1"]),
    "[^[:space:]]x": (b"ax b]x", [b"b]x"], [b"ax", b"]x"]),
    "x[a[b]c]y": (b"xay xbc]y", [b"xbc]y"], [b"xay"]),
    "[a-z&&[^b]]x": (b"ax bx &x &]x", [b"&]x"], [b"ax"]),
    "[+--x]y": (b"+y ,y -y xy", [b"+y", b",y", b"-y", b"xy"], [b"+y"]),
    "\\Aroot": (b"root Aroot", [b"Aroot"], [b"root"]),
    "end\\z": (b"endz end", [b"endz"], [b"end"]),
    "a\\vb": (b"avb a\x0bb", [b"avb"], [b"a\x0bb"]),
    "\\u0041bc": (b"Abc u0041bc", [b"u0041bc"], [b"Abc"]),
    "a{ 2}": (b"aa a{ 2}", [b"a{ 2}"], [b"aa"]),
}
print("YARA", yara.__version__, "YARA-X", version("yara-x"))
right = True
for expression, (data, *expected) in EXPECTED.items():
    rule = f"rule r {{ strings: $a = /{expression}/ condition: $a }}"
    matches = yara.compile(source=rule).match(data=data)
    said = [[one.matched_data for match in matches for pattern in match.strings for one in pattern.instances]]
    for relaxed in (False, True):
        compiler = yara_x.Compiler(relaxed_re_syntax=relaxed)
        compiler.add_source(rule)
        found = compiler.build().scan(data).matching_rules
        spans = [one for rule in found for pattern in rule.patterns for one in pattern.matches]
        said.append([data[one.offset : one.offset + one.length] for one in spans])
        right = right and not compiler.warnings()
    print(f"/{expression}/ on {data!r}: YARA {said[0]}, YARA-X {said[1]}, relaxed {said[2]}")
    right = right and said == [expected[0], expected[1], expected[1]]
sys.exit(0 if right else 1)
PYTHON
