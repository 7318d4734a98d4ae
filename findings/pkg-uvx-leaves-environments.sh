#!/bin/sh
# What `uvx` ran once stays installed in uv's cache, as a whole virtual environment.
#
# uv's cache (archive-v0) otherwise holds unpacked wheels that are installed nowhere, so a search for installed packages
# leaves it out; doing that wholesale hides what somebody ran once. The two are told apart by pyvenv.cfg.
# Seen with uv 0.13.9. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home" UV_CACHE_DIR="$place/cache" UV_TOOL_DIR="$place/tools"
mkdir "$HOME"
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9
"$place/venv/bin/uv" --version
"$place/venv/bin/uvx" --quiet --from cowsay==5.0 cowsay hello >/dev/null
echo "directories in archive-v0, and whether each is an environment:"
environments=0
for one in "$UV_CACHE_DIR"/archive-v0/*; do
    kind="unpacked wheel"
    if [ -e "$one/pyvenv.cfg" ]; then
        kind=environment
        ls -d "$one"/lib/python3*/site-packages/cowsay-5.0.dist-info >/dev/null && environments=$((environments + 1))
    fi
    echo "  $(basename "$one"): $kind"
done
echo "environments with cowsay 5.0 installed, though uvx has ended: $environments"
[ "$environments" -ge 1 ]
