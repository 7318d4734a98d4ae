#!/bin/sh
# The package URL of an npm package whose name has capitals names another package, which exists too.
#
# Old names of npm have capitals: JSONStream and jsonstream are two packages by two authors. Libraries for package URLs
# (JavaScript's and Python's) turn npm's names into small letters, so cyclonedx-npm's inventory of an installed JSONStream
# says pkg:npm/jsonstream; npm's own says pkg:npm/JSONStream. Whoever goes by purl asks about a package that is not there.
# Seen with @cyclonedx/cyclonedx-npm 6.0.1, packageurl-js 2.0.1, packageurl-python 0.17.6, npm 11.21.2. Exits 1 when that
# has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home"
mkdir "$HOME" "$place/tools" "$place/project"
npm install --silent --no-audit --no-fund --prefix "$place/tools" @cyclonedx/cyclonedx-npm@6.0.1 packageurl-js@2.0.1 npm@11.21.2 >/dev/null
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check packageurl-python==0.17.6
cd "$place/project"
echo '{"name": "project", "version": "1.0.0", "private": true, "dependencies": {"JSONStream": "1.3.5"}}' >package.json
node "$place/tools/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund
echo "installed: $(ls node_modules | tr '\n' ' ')"
cyclonedx=$(node "$place/tools/node_modules/@cyclonedx/cyclonedx-npm/bin/cyclonedx-npm-cli.js" 2>/dev/null | grep -io 'pkg:npm/jsonstream@[0-9.]*' | sort -u)
own=$(node "$place/tools/node_modules/npm/bin/npm-cli.js" sbom --sbom-format=cyclonedx | grep -io 'pkg:npm/jsonstream@[0-9.]*' | sort -u)
python=$("$place/venv/bin/python" -c 'from packageurl import PackageURL as P; print(P.from_string("pkg:npm/JSONStream@1.3.5"))')
echo "cyclonedx-npm: $cyclonedx; npm sbom: $own; packageurl-python gives back: $python"
[ "$cyclonedx $own $python" = "pkg:npm/jsonstream@1.3.5 pkg:npm/JSONStream@1.3.5 pkg:npm/jsonstream@1.3.5" ]
