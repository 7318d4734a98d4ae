#!/bin/sh
# A query of a stix2 store gives an indicator that was revoked: its versions from before.
#
# get() gives the newest version of an object; query() gives every version that passes the filters. An indicator that
# was changed and then revoked comes back twice under Filter("revoked", "!=", True), with its old patterns, from
# MemoryStore and FileSystemStore alike. Who looks for what is in force must take the newest of each id first.
# Seen with stix2 3.0.2. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check stix2==3.0.2
mkdir "$place/store"
"$place/venv/bin/python" - "$place/store" <<'PYTHON'
import sys

from stix2 import FileSystemStore, Filter, Indicator, MemoryStore, __version__

print("stix2", __version__)
first = Indicator(
    pattern="[file:name = 'a']", pattern_type="stix", valid_from="2020-01-01T00:00:00Z",
    created="2020-01-01T00:00:00Z", modified="2020-01-01T00:00:00Z",
)
second = first.new_version(pattern="[file:name = 'b']", modified="2021-01-01T00:00:00Z")
versions = [first, second, second.revoke()]
files = FileSystemStore(sys.argv[1])
files.add(versions)
right = True
for store in (MemoryStore(versions), files):
    found = store.query([Filter("type", "=", "indicator"), Filter("revoked", "!=", True)])
    patterns = sorted(one.pattern for one in found)
    revoked = store.get(first.id).revoked
    print(f"{type(store).__name__}: get() says revoked: {revoked}; query of what is not revoked: {patterns}")
    right = right and revoked and patterns == [first.pattern, second.pattern]
sys.exit(0 if right else 1)
PYTHON
