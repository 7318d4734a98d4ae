#!/bin/sh
# lib4vex reads "1.0 is affected, 1.1 is fixed" out of a CSAF document as "fixed", and of an OpenVEX statement the last product.
#
# A VEX says of one vulnerability how each of several products stands. Of product_status in CSAF the last status is kept, for
# the vulnerability as a whole: what is known_affected is gone as soon as there is a fix, and a product that is
# known_not_affected gets the status of another. Of an OpenVEX statement about three packages two are in no record. No error.
# Seen with lib4vex 0.2.3, csaf-tool 0.3.2, lib4sbom 0.10.4. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check lib4vex==0.2.3 csaf-tool==0.3.2 lib4sbom==0.10.4
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import json
import sys

from lib4vex.parser import VEXParser

NOW = "2026-01-01T00:00:00Z"


def product(name, versions):
    return {
        "category": "product_name",
        "name": name,
        "branches": [
            {"category": "product_version", "name": one, "product": {"name": f"{name} {one}", "product_id": f"{name}-{one}"}}
            for one in versions
        ],
    }


csaf = {
    "document": {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "title": "Two products",
        "publisher": {"category": "vendor", "name": "Example", "namespace": "https://example.org"},
        "tracking": {
            "id": "EX-1",
            "status": "final",
            "version": "1",
            "initial_release_date": NOW,
            "current_release_date": NOW,
            "revision_history": [{"number": "1", "date": NOW, "summary": "first"}],
        },
    },
    "product_tree": {
        "branches": [{"category": "vendor", "name": "Example", "branches": [product("one", ["1.0", "1.1"]), product("two", ["8.0"])]}]
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-0001",
            "notes": [{"category": "description", "text": "first"}],
            "product_status": {"known_affected": ["one-1.0", "two-8.0"], "fixed": ["one-1.1"]},
            "remediations": [{"category": "vendor_fix", "details": "update", "product_ids": ["one-1.0", "two-8.0"]}],
        },
        {
            "cve": "CVE-2026-0002",
            "notes": [{"category": "description", "text": "second"}],
            "product_status": {"known_not_affected": ["two-8.0"], "under_investigation": ["one-1.0"]},
            "flags": [{"label": "component_not_present", "date": NOW, "product_ids": ["two-8.0"]}],
        },
    ],
}
packages = [f"pkg:deb/debian/{one}" for one in ("openssl@3.0.1", "curl@8.0", "zlib@1.2")]
statement = {"vulnerability": {"name": "CVE-2026-0001"}, "timestamp": NOW, "status": "affected", "action_statement": "update"}
openvex = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://example.org/vex/1",
    "author": "Example",
    "role": "Vendor",
    "timestamp": NOW,
    "version": 1,
    "statements": [{**statement, "products": [{"@id": one} for one in packages]}],
}
read = {}
for kind, document in (("csaf", csaf), ("openvex", openvex)):
    with open(f"{kind}.json", "w", encoding="utf-8") as file:
        json.dump(document, file)
    parser = VEXParser(vex_type=kind)
    parser.parse(f"{kind}.json")
    read[kind] = [{key: one.get(key) for key in ("id", "status", "Product", "purl") if one.get(key)} for one in parser.get_vulnerabilities()]
    print(kind, *read[kind], sep="\n  ")
expected = {
    "csaf": [
        {"id": "CVE-2026-0001", "status": "fixed"},
        {"id": "CVE-2026-0002", "status": "under_investigation", "Product": "two-8.0"},
    ],
    "openvex": [{"id": "CVE-2026-0001", "status": "affected", "purl": "pkg:deb/debian/zlib@1.2"}],
}
sys.exit(read != expected)
PYTHON
