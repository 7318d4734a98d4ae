"""The order of Go's versions: semantic ones of modules, and the toolchain's own (``1.27rc1``), which are not quite.

https://go.dev/ref/mod#versions and https://go.dev/doc/toolchain#version.
"""

from __future__ import annotations

import re

from mig_endpoint.packages.versions import semver

_TOOLCHAIN = re.compile(r"(?:go)?([0-9]+(?:\.[0-9]+){0,2})((?:rc|beta|alpha)[0-9]+)", re.ASCII)


def compare(left: str, right: str) -> int:
    """The order of two versions.

    Raises:
        ValueError: one of them is none, like ``(devel)``.
    """
    return semver.compare(_semantic(left), _semantic(right))


def _semantic(text: str) -> str:
    found = _TOOLCHAIN.fullmatch(text)
    if found is None:
        return text
    letters = found[2].rstrip("0123456789")
    return f"{found[1]}-{letters}.{found[2].removeprefix(letters)}"
