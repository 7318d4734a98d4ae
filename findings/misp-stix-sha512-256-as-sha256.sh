#!/bin/sh
# misp-stix writes a SHA-512/256 as a SHA-256, and names SHA-384 and SHA-224 differently in an indicator and in its observable.
#
# sha512/256 (and filename|sha512/256) becomes [file:hashes.'SHA-256' = ...]: as long as one, and no file's. Who looks for it
# finds nothing, on the very machine that has the file; back in MISP it is an attribute of type sha256. A sha384 is
# hashes.'SHA-384' in the pattern and "SHA384" in the object that the indicator is based on, which the pattern does not match.
# Seen with misp-stix 2026.10.12, pymisp 2.5.34.4 and stix2-matcher 3.0.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for one in convert match; do python3 -m venv "$place/$one"; done
"$place/convert/bin/python" -m pip install --quiet --disable-pip-version-check misp-stix==2026.10.12 pymisp==2.5.34.4 stix2==3.0.2
"$place/match/bin/python" -m pip install --quiet --disable-pip-version-check stix2-matcher==3.0.0
"$place/convert/bin/python" - >"$place/bundle.json" <<'PYTHON'
import hashlib
import json

from misp_stix_converter import MISPtoSTIX21Parser
from pymisp import MISPEvent

event = MISPEvent()
event.info = "one file by several hashes"
content = b"#!/bin/sh\n"
for kind, name in (("sha512/256", "sha512_256"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha224", "sha224")):
    event.add_attribute(kind, hashlib.new(name, content).hexdigest(), to_ids=True)
parser = MISPtoSTIX21Parser()
parser.parse_misp_event(json.loads(event.to_json()))
print(parser.bundle.serialize())
PYTHON
"$place/match/bin/python" - "$place/bundle.json" <<'PYTHON'
import hashlib
import json
import sys

from stix2matcher.matcher import match

content = b"#!/bin/sh\n"
file = {"SHA-256": hashlib.sha256(content).hexdigest(), "SHA-384": hashlib.sha384(content).hexdigest()}
with open(sys.argv[1], encoding="utf-8") as bundle:
    objects = json.load(bundle)["objects"]
patterns = {}
for one in objects:
    if one["type"] == "indicator":
        kind = next(label for label in one["labels"] if label.startswith("misp:type=")).split('"')[1]
        patterns[kind] = one["pattern"]


def found(pattern, hashes):
    observed = {"type": "observed-data", "id": "observed-data--00000000-0000-4000-8000-000000000001",
                "spec_version": "2.1", "number_observed": 1, "object_refs": ["file--1"],
                "first_observed": "2026-01-01T00:00:00Z", "last_observed": "2026-01-01T00:00:00Z"}
    bundle = {"type": "bundle", "id": "bundle--1", "objects": [observed, {"type": "file", "id": "file--1", "spec_version": "2.1", "hashes": hashes}]}
    return bool(match(patterns[pattern], [bundle], stix_version="2.1"))


names = {length: next(key for one in objects if one["type"] == "file" for key, value in one["hashes"].items() if len(value) == length)
         for length in (96, 56)}
seen = {
    "pattern of sha512/256": patterns["sha512/256"].partition(" = ")[0],
    "it finds the file": found("sha512/256", file),
    "the pattern of sha256 finds it": found("sha256", file),
    "the pattern of sha384 finds it": found("sha384", file),
    "name of SHA-384 in the observable": names[96],
    "of SHA-224": names[56],
    "the pattern of sha384 finds its own observable": found("sha384", {names[96]: file["SHA-384"]}),
}
for name, value in seen.items():
    print(f"{name}: {value}")
sys.exit(list(seen.values()) != ["[file:hashes.'SHA-256'", False, True, True, "SHA384", "SHA224", False])
PYTHON
