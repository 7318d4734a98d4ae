"""What lock files say is to be installed: one file for each family of tools. Used by ``lock_files``.

``javascript`` (npm, pnpm, yarn, bun, deno), ``python`` (Pipenv, Poetry, PDM, uv, PEP 751), ``compiled`` (Cargo, Go) and
``ruby`` (Bundler). Each reader gives names and versions of what comes from elsewhere, not of the project itself nor of
its own workspaces; it raises ValueError for what is no such file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mig_pkg.locks import compiled, javascript, python, ruby

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Locked = tuple[str, str]
"""A name and a version."""


class Format(NamedTuple):
    """A kind of lock file."""

    ecosystem: str
    """The type of packages whose names and versions these are."""
    read: Callable[[str], Iterable[Locked]]


FORMATS: Mapping[str, Format] = {
    "package-lock.json": Format("npm", javascript.npm),
    "npm-shrinkwrap.json": Format("npm", javascript.npm),
    "pnpm-lock.yaml": Format("npm", javascript.pnpm),
    "pnpm-lock.*.yaml": Format("npm", javascript.pnpm),
    "yarn.lock": Format("npm", javascript.yarn),
    "bun.lock": Format("npm", javascript.bun),
    "deno.lock": Format("npm", javascript.deno),
    "Pipfile.lock": Format("python", python.pipenv),
    "poetry.lock": Format("python", python.tables),
    "pdm.lock": Format("python", python.tables),
    "uv.lock": Format("python", python.tables),
    "*.py.lock": Format("python", python.tables),
    "pylock.toml": Format("python", python.tables),
    "pylock.*.toml": Format("python", python.tables),
    "Cargo.lock": Format("cargo", compiled.cargo),
    "go.sum": Format("go", compiled.go),
    "Gemfile.lock": Format("gem", ruby.bundler),
    "gems.locked": Format("gem", ruby.bundler),
}
"""By the file's name. Those with ``*`` are of a branch (pnpm), of a script (uv) and of a purpose (PEP 751)."""
NOT_READ = frozenset({"bun.lockb"})
"""bun's older form, which is not text and is not described anywhere."""
