"""Unpacked packages in caches: what package managers keep beside what they installed, and what runs from there. Used
by ``walk``.

Each form was seen: uv 0.13, yarn 1.22, bun 1.4, deno 2.9, pnpm 12, npm 12; conda's by its documentation.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_endpoint.packages.folder import Folder

_CONDA = ("info/index.json", "../urls.txt", "../urls", "../../conda-meta")
"""What shows that ``pkgs`` is conda's: in the package, or beside it."""
_IMAGES = frozenset({"CopyPipInstall", "SymlinkPipInstall"})
"""What virtualenv copies, or links, into each new environment: pip, setuptools and wheel, unpacked."""
_VERSION = re.compile(r"v[0-9]+")
NUMBERED = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+.*")
"""What deno calls the directory of a package's version."""
REGISTRY = "registry.json"
"""What deno keeps beside these: the registry's answer about the package."""


def is_copy(folder: Folder) -> bool:
    """Whether nothing in this directory is installed, and nothing below it.

    * uv: what lies in ``archive-v0`` of its cache, except the environments that ``uvx`` made there.
    * pnpm: its store, and what older versions keep of what is installed globally (``global/5/.pnpm``). A package there
      is installed where a link leads to it, and such links are followed.
    * yarn 1: ``v6/npm-NAME-…`` in its cache. npm: ``_cacache``.
    * virtualenv: the images of pip and others in its cache. conda: ``pkgs``, from which it makes environments.
    """
    parent, _, name = folder.path.rpartition("/")
    outer = parent.rpartition("/")[2]
    if outer.startswith("archive-v"):
        return "pyvenv.cfg" not in folder.names and (
            parent.endswith(f"/uv/{outer}") or _there(f"{folder.real}/../../CACHEDIR.TAG")
        )
    if outer == "pkgs":
        return any(_there(f"{folder.real}/{mark}") for mark in _CONDA)
    if _VERSION.fullmatch(name):
        return "files" in folder.directories and bool({"index", "index.db", "links"} & set(folder.names))
    if name == "links" and _VERSION.fullmatch(outer):
        return True
    if name.startswith("npm-"):
        return "node_modules" in folder.directories and _VERSION.fullmatch(outer) is not None
    if name in _IMAGES:
        return True
    if name == ".pnpm":
        return outer != "node_modules"
    return name == "_cacache"


def is_run_from(folder: Folder) -> bool:
    """Whether this is a package in a cache from which programs run it, without its being installed anywhere.

    deno does so unless a project has a ``node_modules``, bun where a script's project has none (``NAME@VERSION@@@1``).
    Who looks for npm's packages gives these with the directory that they lie in.
    """
    if "package.json" not in folder.names:
        return False
    return "@@@" in folder.name or (
        NUMBERED.fullmatch(folder.name) is not None and _there(f"{folder.real}/../{REGISTRY}")
    )


def _there(path: str) -> bool:
    return os.path.exists(path)
