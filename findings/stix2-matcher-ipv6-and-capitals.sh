#!/bin/sh
# The OASIS committee's STIX matcher refuses IPv6 networks, which STIX has, and finds no hash that a report writes in capitals.
#
# [ipv6-addr:value ISSUBSET '2001:db8::/32'] raises "Invalid IPv4 address" as soon as an IPv6 address is looked at, also where
# the other half of an OR fits, so the pattern finds nothing at all; 0.0.0.0/0 is an "Invalid CIDR subnet". "=" compares texts:
# D41D8CD9... is not d41d8cd9..., and 2001:DB8::1 not 2001:db8::1. MATCHES takes an e with an accent for an accented e, and "="
# does not. Who evaluates patterns with it brings both sides into one form first, and asks for IPv6 networks otherwise.
# Seen with stix2-matcher 3.0.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check stix2-matcher==3.0.0
"$place/venv/bin/python" - <<'PYTHON'
import sys

from stix2matcher.matcher import MatcherException, match

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
OBSERVED = {
    "type": "observed-data",
    "spec_version": "2.1",
    "id": "observed-data--00000000-0000-4000-8000-000000000001",
    "first_observed": "2026-01-01T00:00:00Z",
    "last_observed": "2026-01-01T00:00:00Z",
    "number_observed": 1,
    "object_refs": ["seen--1"],
}


def found(pattern, **seen):
    bundle = {"type": "bundle", "id": "bundle--1", "objects": [OBSERVED, {"id": "seen--1", "spec_version": "2.1", **seen}]}
    try:
        return bool(match(pattern, [bundle], stix_version="2.1"))
    except MatcherException as error:
        return str(error)


SIX = {"type": "ipv6-addr", "value": "2001:db8::1"}
FOUR = {"type": "ipv4-addr", "value": "198.51.100.7"}
CASES = (
    ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", FOUR, True),
    ("[ipv4-addr:value ISSUBSET '0.0.0.0/0']", FOUR, "Invalid CIDR subnet: 0.0.0.0/0"),
    ("[ipv6-addr:value = '2001:db8::1']", SIX, True),
    ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", SIX, "Invalid IPv4 address: 2001:db8::1"),
    ("[ipv6-addr:value = '2001:db8::1' OR ipv6-addr:value ISSUBSET '2001:db8::/32']", SIX, "Invalid IPv4 address: 2001:db8::1"),
    ("[ipv6-addr:value = '2001:DB8::1']", SIX, False),
    (f"[file:hashes.MD5 = '{MD5}']", {"type": "file", "hashes": {"MD5": MD5}}, True),
    (f"[file:hashes.MD5 = '{MD5.upper()}']", {"type": "file", "hashes": {"MD5": MD5}}, False),
    ("[file:name MATCHES '^\u00e9$']", {"type": "file", "name": "e\u0301"}, True),
    ("[file:name = '\u00e9']", {"type": "file", "name": "e\u0301"}, False),
)
answers = []
for pattern, seen, expected in CASES:
    answer = found(pattern, **seen)
    answers.append(answer == expected)
    print(f"{answer!s:36} {pattern}")
sys.exit(not all(answers))
PYTHON
