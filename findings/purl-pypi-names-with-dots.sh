#!/bin/sh
# Two inventories of one Python environment name its packages with dots differently: pkg:pypi/zope.interface is in one only.
#
# To PyPI and pip, "-", "_" and "." in a name are the same. The libraries for package URLs (Python's and JavaScript's) make
# "-" of "_" and leave the dot, so cyclonedx-py writes zope.interface, as the package calls itself, and uv zope-interface, as
# PyPI's simple index does; compared by purl, a package is in one inventory and not in the other.
# typing_extensions is one in both.
# Seen with cyclonedx-bom 7.5.0, uv 0.13.9, packageurl-python 0.17.6, packageurl-js 2.0.1. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME="$place/home" UV_CACHE_DIR="$place/cache"
mkdir "$HOME" "$place/project" "$place/node"
python3 -m venv "$place/venv"
tools="$place/venv/bin"
"$tools/python" -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0 uv==0.13.9 packageurl-python==0.17.6
npm install --silent --no-audit --no-fund --prefix "$place/node" packageurl-js@2.0.1 >/dev/null
cd "$place/project"
cat >pyproject.toml <<'END'
[project]
name = "project"
version = "1"
requires-python = ">=3.11"
dependencies = ["zope.interface==7.2", "typing_extensions==4.16.0"]
END
"$tools/uv" sync --quiet
purls() { grep -o '"purl": "pkg:pypi/\(zope\|typing\)[^"]*"' | cut -d'"' -f4 | sort | tr '\n' ' '; }
uv=$("$tools/uv" export --quiet --format cyclonedx1.5 2>/dev/null | purls)
cyclonedx=$("$tools/cyclonedx-py" environment .venv/bin/python 2>/dev/null | purls)
python=$("$tools/python" -c 'from packageurl import PackageURL as P
print(*(P("pypi", None, one) for one in ("zope.interface", "zope_interface", "zope-interface")))')
cd "$place/node"
javascript=$(node -e 'const {PackageURL: P} = require("packageurl-js")
console.log(["zope.interface", "zope_interface", "zope-interface"].map(one => new P("pypi", null, one).toString()).join(" "))')
echo "uv: $uv"
echo "cyclonedx-py: $cyclonedx"
echo "packageurl-python of zope.interface, zope_interface, zope-interface: $python"
echo "packageurl-js of the same: $javascript"
[ "$uv" = "pkg:pypi/typing-extensions@4.16.0 pkg:pypi/zope-interface@7.2 " ]
[ "$cyclonedx" = "pkg:pypi/typing-extensions@4.16.0 pkg:pypi/zope.interface@7.2 " ]
[ "$python" = "pkg:pypi/zope.interface pkg:pypi/zope-interface pkg:pypi/zope-interface" ]
[ "$javascript" = "$python" ]
