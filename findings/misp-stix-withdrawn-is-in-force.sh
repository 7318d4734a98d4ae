#!/bin/sh
# What was withdrawn is in force again after misp-stix, in both directions.
#
# An attribute that was deleted in MISP ("deleted": true, MISP's way of taking it back) becomes an
# indicator like any other, without revoked. A STIX indicator with "revoked": true becomes an attribute with to_ids, and
# nothing in the event says that it was revoked. No error and no warning. The address that was a mistake is hunted again.
# Seen with misp-stix 2026.10.12, pymisp 2.5.34.4 and stix2 3.0.2. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check misp-stix==2026.10.12 pymisp==2.5.34.4 stix2==3.0.2
"$place/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import stix2
from misp_stix_converter import ExternalSTIX2toMISPParser, MISPtoSTIX21Parser
from pymisp import MISPEvent

print(*(f"{one} {version(one)}" for one in ("misp-stix", "pymisp", "stix2")))
event = {
    "info": "campaign",
    "date": "2026-11-01",
    "uuid": "5f2d0b3e-0b53-4ac1-9f2d-7e0fd0b21d00",
    "Orgc": {"name": "org", "uuid": "5f2d0b3e-0b53-4ac1-9f2d-7e0fd0b21d01"},
    "Attribute": [
        {"type": "domain", "category": "Network activity", "value": "kept.example", "to_ids": True, "deleted": False},
        {"type": "domain", "category": "Network activity", "value": "deleted.example", "to_ids": True, "deleted": True},
    ],
}
misp = MISPEvent()
misp.from_dict(**event)
export = MISPtoSTIX21Parser()
export.parse_misp_event(misp)
indicators = [one for one in export.bundle.objects if one["type"] == "indicator"]
exported = [(one["pattern"], one.get("revoked", False)) for one in indicators]
said = [dict(export.errors), dict(export.warnings)]
for pattern, revoked in exported:
    print(f"from MISP: {pattern} revoked: {revoked}")

made = [
    stix2.v21.Indicator(
        pattern=f"[domain-name:value = '{name}.example']",
        pattern_type="stix",
        valid_from="2026-01-01T00:00:00Z",
        revoked=name == "revoked",
    )
    for name in ("valid", "revoked")
]
taken = ExternalSTIX2toMISPParser()
taken.load_stix_bundle(stix2.v21.Bundle(made))
taken.parse_stix_bundle()
imported = [(one.value, one.to_ids) for one in taken.misp_event.attributes]
said += [dict(taken.errors), dict(taken.warnings)]
for value, to_ids in imported:
    print(f"from STIX: {value} to_ids: {to_ids}")
print("the event mentions a revocation:", "revoked" in taken.misp_event.to_json().replace("revoked.example", ""))
print("errors and warnings:", said)
right = exported == [(f"[domain-name:value = '{one}.example']", False) for one in ("kept", "deleted")]
right = right and sorted(imported) == [("revoked.example", True), ("valid.example", True)] and not any(said)
right = right and "revoked" not in taken.misp_event.to_json().replace("revoked.example", "")
sys.exit(0 if right else 1)
PYTHON
