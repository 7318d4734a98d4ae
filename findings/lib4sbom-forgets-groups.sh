#!/bin/sh
# lib4sbom keeps one of two packages that have the same name and version in different groups, and in SPDX none has its group.
#
# @babel/core and @vue/core, or org.a:util and org.b:util, are two components of a CycloneDX document each; packages are held by
# name and version, so the one that comes later takes the other's place. What is written from it, in either format, lacks a
# package that is installed, and a name in SPDX is "core". The package URLs are right, of those that are left. No warning.
# Seen with lib4sbom 0.10.4. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check lib4sbom==0.10.4
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import json
import sys

from lib4sbom.generator import SBOMGenerator
from lib4sbom.parser import SBOMParser

PACKAGES = (
    ("@babel", "core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
    ("@vue", "core", "7.0.0", "pkg:npm/%40vue/core@7.0.0"),
    ("org.a", "util", "1", "pkg:maven/org.a/util@1"),
    ("org.b", "util", "1", "pkg:maven/org.b/util@1"),
    ("", "lodash", "4.17.20", "pkg:npm/lodash@4.17.20"),
    ("", "lodash", "4.17.21", "pkg:npm/lodash@4.17.21"),
)
document = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "version": 1,
    "components": [
        {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **({"group": group} if group else {})}
        for group, name, version, purl in PACKAGES
    ],
}
with open("bom.json", "w", encoding="utf-8") as file:
    json.dump(document, file)
parser = SBOMParser()
parser.parse_file("bom.json")
print("components:", len(PACKAGES), "packages read:", len(parser.get_packages()))
written = {}
for kind in ("cyclonedx", "spdx"):
    generator = SBOMGenerator(sbom_type=kind, format="json")
    generator.generate("app", parser.get_sbom(), filename="", send_to_output=False)
    written[kind] = generator.get_sbom()
purls = sorted(one["purl"] for one in written["cyclonedx"]["components"])
names = sorted(one["name"] for one in written["spdx"]["packages"])
print("CycloneDX:", *purls, sep="\n  ")
print("SPDX:", names)
missing = sorted(purl for *_, purl in PACKAGES if purl not in purls)
print("missing:", missing)
sys.exit(missing != ["pkg:maven/org.a/util@1", "pkg:npm/%40babel/core@7.0.0"] or names != ["core", "lodash", "lodash", "util"])
PYTHON
