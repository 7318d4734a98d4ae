#!/bin/sh
# STIX patterns that misp-stix makes of ports and sizes match nothing: the numbers are written as texts.
#
# ip-dst|port becomes [... AND network-traffic:dst_port = '80'], and a file's size [file:size = '5']. In STIX a number is
# not equal to a text, so the OASIS committee's own matcher does not find the very connection or file in them; without
# the quotes it does. Who evaluates exported patterns has to read such texts as numbers.
# Seen with misp-stix 2026.10.12, pymisp 2.5.34.4 and stix2-matcher 3.0.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/export"
"$place/export/bin/python" -m pip install --quiet --disable-pip-version-check misp-stix==2026.10.12 pymisp==2.5.34.4
python3 -m venv "$place/match"
"$place/match/bin/python" -m pip install --quiet --disable-pip-version-check stix2-matcher==3.0.0
"$place/export/bin/python" - >"$place/patterns" <<'PYTHON'
import json

from misp_stix_converter import MISPtoSTIX21Parser

TIMES = {"timestamp": "1600000000"}


def attribute(number, kind, value, **more):
    return {"uuid": f"00000000-0000-4000-8000-00000000000{number}", "type": kind, "value": value, "to_ids": True, **TIMES, **more}


event = {
    "uuid": "00000000-0000-4000-8000-00000000000a", "info": "x", "date": "2020-09-13", "published": False, **TIMES,
    "Orgc": {"uuid": "00000000-0000-4000-8000-00000000000b", "name": "o"},
    "Attribute": [attribute(1, "ip-dst|port", "203.0.113.9|80", category="Network activity")],
    "Object": [
        {
            "uuid": "00000000-0000-4000-8000-00000000000c", "name": "file", "meta-category": "file", **TIMES,
            "Attribute": [
                attribute(2, "filename", "x", object_relation="filename", category="Payload delivery"),
                attribute(3, "size-in-bytes", "5", object_relation="size-in-bytes", category="Other"),
            ],
        }
    ],
}
parser = MISPtoSTIX21Parser()
parser.parse_misp_event({"Event": event})
for one in json.loads(parser.bundle.serialize())["objects"]:
    if one["type"] == "indicator":
        print(one["pattern"])
PYTHON
"$place/match/bin/python" - "$place/patterns" 2>/dev/null <<'PYTHON'
import re
import sys

from stix2matcher.matcher import match


def observed(*objects):
    found = [
        {"spec_version": "2.1", "id": f"{one['type']}--00000000-0000-4000-8000-00000000000{n}", **one} for n, one in enumerate(objects)
    ]
    data = {
        "type": "observed-data", "id": "observed-data--00000000-0000-4000-8000-00000000000a", "spec_version": "2.1",
        "first_observed": "2020-01-01T00:00:00Z", "last_observed": "2020-01-01T00:00:00Z", "number_observed": 1,
        "object_refs": [one["id"] for one in found],
    }
    return {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-00000000000b", "objects": [data, *found]}


SEEN = {
    "network-traffic": observed(
        {"type": "network-traffic", "protocols": ["tcp"], "dst_port": 80, "dst_ref": "ipv4-addr--00000000-0000-4000-8000-000000000001"},
        {"type": "ipv4-addr", "value": "203.0.113.9"},
    ),
    "file": observed({"type": "file", "name": "x", "size": 5}),
}
patterns = open(sys.argv[1]).read().splitlines()
answers = []
for pattern in patterns:
    seen = SEEN[pattern[1:].partition(":")[0]]
    plain = re.sub(r"'(\d+)'", r"\1", pattern)
    as_written, as_number = (bool(match(one, [seen], stix_version="2.1")) for one in (pattern, plain))
    print(f"{pattern}: {as_written}; with a number: {as_number}")
    answers.append((as_written, as_number))
sys.exit(0 if answers == [(False, True)] * 2 else 1)
PYTHON
