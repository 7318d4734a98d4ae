#!/bin/sh
# A package that a script of deno's or bun's has run is in a cache and nowhere else: no node_modules, no lock, no project.
#
# deno fetches npm: imports into its cache and runs them there; bun does so with what a script imports where no node_modules
# is on the way up. Who looks for node_modules and lock files, and leaves caches out as "not installed", has nothing to go by,
# and the code has run. It is at ~/.cache/deno/npm/REGISTRY/NAME/VERSION and ~/.bun/install/cache/NAME@VERSION@@@1; what was
# only fetched for a node_modules is there too, and looks the same.
# Seen with deno 2.9.6 and bun 1.4.5. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home"
mkdir "$HOME" "$place/tools" "$place/deno" "$place/bun"
npm install --silent --no-audit --no-fund --prefix "$place/tools" deno@2.9.6 bun@1.4.5 >/dev/null
bin="$place/tools/node_modules/.bin"
echo 'import isEven from "npm:is-even@1.0.0"; console.log("deno ran it:", isEven(2));' >"$place/deno/script.ts"
echo 'import isEven from "is-even@1.0.0"; console.log("bun ran it:", isEven(2));' >"$place/bun/script.ts"
(cd "$place/deno" && "$bin/deno" run --quiet script.ts)
(cd "$place/bun" && "$bin/bun" run script.ts)
echo "left beside the scripts:" "$(cd "$place" && find deno bun -mindepth 1 ! -name script.ts | wc -l)"
cd "$HOME"
find . -path '*is-even*/package.json' -not -path '*/is-even/*@@@*/*' | sort | tee "$place/found"
cat >"$place/expected" <<'FOUND'
./.bun/install/cache/is-even@1.0.0@@@1/package.json
./.cache/deno/npm/registry.npmjs.org/is-even/1.0.0/package.json
FOUND
[ -z "$(find "$place/deno" "$place/bun" -mindepth 1 ! -name script.ts)" ]
cmp -s "$place/found" "$place/expected"
