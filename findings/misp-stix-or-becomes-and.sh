#!/bin/sh
# A STIX indicator that says "this or that" is one that says "this and that" after a way through MISP, and finds nothing.
#
# misp-stix makes one object of a pattern with OR or IN, the same that it makes of AND; exported again, the object's
# values are joined by AND. Of "one of two addresses" it becomes "both at once", which no connection is. No error, no warning.
# Seen with misp-stix 2026.10.12, pymisp 2.5.34.4, stix2 3.0.2, stix2-matcher 3.0.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for one in convert match; do python3 -m venv "$place/$one"; done
"$place/convert/bin/python" -m pip install --quiet --disable-pip-version-check misp-stix==2026.10.12 pymisp==2.5.34.4 stix2==3.0.2
"$place/match/bin/python" -m pip install --quiet --disable-pip-version-check stix2-matcher==3.0.0
cat >"$place/convert.py" <<'PYTHON'
import json
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import stix2
from misp_stix_converter import ExternalSTIX2toMISPParser, MISPtoSTIX21Parser
from pymisp import MISPOrganisation

print(*(f"{one} {version(one)}" for one in ("misp-stix", "pymisp", "stix2")), file=sys.stderr)
pairs = []
for pattern in sys.argv[1:]:
    made = stix2.v21.Indicator(pattern=pattern, pattern_type="stix", valid_from="2026-01-01T00:00:00Z")
    taken = ExternalSTIX2toMISPParser()
    taken.load_stix_bundle(stix2.v21.Bundle([made]))
    taken.parse_stix_bundle()
    event = taken.misp_event
    event.orgc = MISPOrganisation()
    event.orgc.from_dict(name="org", uuid="5f2d0b3e-0b53-4ac1-9f2d-7e0fd0b21d01")
    export = MISPtoSTIX21Parser()
    export.parse_misp_event(event)
    patterns = [one["pattern"] for one in export.bundle.objects if one["type"] == "indicator"]
    said = [*taken.errors, *taken.warnings, *export.errors, *export.warnings]
    pairs.append((pattern, patterns, said))
print(json.dumps(pairs))
PYTHON
cat >"$place/match.py" <<'PYTHON'
import json
import sys
from importlib.metadata import version

from stix2matcher.matcher import match

print("stix2-matcher", version("stix2-matcher"))
TIMES = dict.fromkeys(("first_observed", "last_observed", "created", "modified"), "2026-01-02T00:00:00Z")
END = "-0000-4000-8000-000000000000"


def seen(*objects):
    ids = [f"{one['type']}--{place:08d}{END}" for place, one in enumerate(objects)]
    data = {"type": "observed-data", "id": f"observed-data--00000009{END}", "number_observed": 1, **TIMES}
    data |= {"spec_version": "2.1", "object_refs": ids}
    named = [{**one, "id": id, "spec_version": "2.1"} for id, one in zip(ids, objects)]
    return {"type": "bundle", "id": f"bundle--00000008{END}", "objects": [data, *named]}


traffic = {"type": "network-traffic", "dst_ref": f"ipv4-addr--00000001{END}", "protocols": ["tcp"]}
OBSERVED = [
    seen(traffic, {"type": "ipv4-addr", "value": "192.0.2.1"}),
    seen({"type": "file", "name": "evil.so"}),
]
results = []
for (before, after, said), observed in zip(json.load(open(sys.argv[1])), OBSERVED):
    found = [bool(match(one, [observed], stix_version="2.1")) for one in (before, *after)]
    print(f"{before}\n  becomes {after}, said: {said}\n  the matcher finds it before and after: {found}")
    results.append((found, said))
sys.exit(0 if results == [([True, False], [])] * 2 else 1)
PYTHON
"$place/convert/bin/python" "$place/convert.py" \
    "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]" \
    "[file:hashes.MD5 = '0123456789abcdef0123456789abcdef' OR file:name = 'evil.so']" >"$place/pairs.json"
"$place/match/bin/python" "$place/match.py" "$place/pairs.json"
