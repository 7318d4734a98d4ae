#!/bin/sh
# Yarn's Plug'n'Play file holds its map of packages in three forms, and Yarn 2's is no JSON.
#
# Yarn 4 has a string (RAW_RUNTIME_STATE), Yarn 3.2 a string inside hydrateRuntimeState(JSON.parse(...)), Yarn 2 a plain
# object in a file of another name (.pnp.js) with commas before closing brackets, which JSON parsers refuse. A reader of
# one form finds nothing in projects of the others.
# Seen with @yarnpkg/cli-dist 2.4.1, 3.2.0 and 4.18.1. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home" YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_IMMUTABLE_INSTALLS=false
mkdir "$HOME"
result=0
check() { # version, file, text that the form has
    mkdir -p "$place/$1/project"
    npm install --silent --no-audit --no-fund --prefix "$place/$1" "@yarnpkg/cli-dist@$1" >/dev/null
    cd "$place/$1/project"
    echo '{"name": "project", "version": "1.0.0"}' >package.json
    : >yarn.lock
    node "$place/$1/node_modules/@yarnpkg/cli-dist/bin/yarn.js" add is-odd@3.0.1 >/dev/null
    if [ -e "$2" ] && grep -q -F "$3" "$2"; then echo "yarn $1: $2 has $3"; else
        echo "yarn $1: no longer as described"
        result=1
    fi
}
check 2.4.1 .pnp.js 'return hydrateRuntimeState({'
python3 - "$place/2.4.1/project/.pnp.js" <<'PYTHON' || result=1
import json, sys
text = open(sys.argv[1]).read()
text = text[text.index("return hydrateRuntimeState({") + len("return hydrateRuntimeState("):]
try:
    json.JSONDecoder().raw_decode(text)
except ValueError as error:
    print("yarn 2.4.1: no JSON:", error)
else:
    sys.exit("yarn 2.4.1: it is JSON now")
PYTHON
check 3.2.0 .pnp.cjs "return hydrateRuntimeState(JSON.parse('"
check 4.18.1 .pnp.cjs 'const RAW_RUNTIME_STATE ='
exit $result
