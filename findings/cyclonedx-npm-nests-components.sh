#!/bin/sh
# A third of the packages in an inventory by cyclonedx-npm stand inside other components.
#
# Packages that npm put below another package (node_modules/a/node_modules/b) become "components" of that component, as
# CycloneDX allows. Who reads the document's own list sees a part of what is installed, and no error; so does
# Bom.components of cyclonedx-python-lib. `npm sbom` writes a flat list. Here it is chalk 2.4.2 that is not in the list.
# Seen with @cyclonedx/cyclonedx-npm 6.0.1 and cyclonedx-python-lib 11.12.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home"
mkdir "$HOME" "$place/tools" "$place/project"
npm install --silent --no-audit --no-fund --prefix "$place/tools" @cyclonedx/cyclonedx-npm@6.0.1 >/dev/null
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check cyclonedx-python-lib==11.12.0
cd "$place/project"
echo '{"name": "project", "version": "1.0.0", "private": true, "dependencies": {"@babel/code-frame": "7.22.5", "chalk": "4.1.2"}}' >package.json
npm install --silent --no-audit --no-fund
node "$place/tools/node_modules/@cyclonedx/cyclonedx-npm/bin/cyclonedx-npm-cli.js" --output-file bom.json 2>/dev/null
"$place/venv/bin/python" - <<'PYTHON'
import json
import sys
from pathlib import Path

from cyclonedx.model.bom import Bom

document = json.loads(Path("bom.json").read_text())


def below(components):
    for one in components:
        yield one
        yield from below(one.get("components", ()))


everything = [(one["name"], one["version"]) for one in below(document["components"])]
directories = sum(1 for path in Path("node_modules").glob("**/package.json") if (path.parent.parent.name == "node_modules") or path.parent.parent.name.startswith("@"))
listed = [(one.name, one.version) for one in Bom.from_json(document).components]
print(f"packages in node_modules: {directories}; in the document: {len(everything)}; in its list: {len(document['components'])}; "
      f"in Bom.components: {len(listed)}")
print("chalk, in the document:", sorted(version for name, version in everything if name == "chalk"), "and in the list:",
      sorted(version for name, version in listed if name == "chalk"))
sys.exit(0 if directories == len(everything) > len(listed) and ("chalk", "2.4.2") not in listed else 1)
PYTHON
