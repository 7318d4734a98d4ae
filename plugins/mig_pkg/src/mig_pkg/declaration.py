"""The declared parameters of ``pkg``: what mig, mig-api and the agent check, offer and explain.

``request`` turns the checked values into a :class:`mig_pkg.request.Request`.
"""

from __future__ import annotations

from mig_core.plugin.checks import absolute_path, absolute_path_or_none
from mig_core.plugin.parameters import Kind, Parameter, Parameters
from mig_pkg import patterns
from mig_pkg.condition import Condition

SYSTEM_TYPES = ("rpm", "dpkg", "apk", "pacman", "opkg", "snap", "flatpak", "chisel")
"""Looked at unless others are asked for, in this order."""
LANGUAGE_TYPES = ("python", "npm", "gem", "conda")
PROGRAM_TYPES = ("go", "cargo", "jar")
"""In programs and archives; ``all`` has them where paths are asked for, because every file there is looked into."""
BELOW_PATHS = frozenset({"go", "cargo"})
"""Found below the paths asked for, and nowhere else."""
NAMED_TYPES = ("sbom", "lockfile")
"""What others say about packages, and not packages that are there: not in ``all``."""


PARAMETERS = Parameters(
    Parameter(
        name="name",
        key="matches",
        group="pkgmatch",
        many=True,
        required=True,
        metavar="REGEX",
        check=patterns.compile_pattern,
        help="the package's name matches this regular expression; may be repeated",
    ),
    Parameter(
        name="bysource",
        key="bysource",
        kind=Kind.BOOLEAN,
        help="names of source packages count too: openssl is then found as libssl3; a version is the source's",
    ),
    Parameter(
        name="version",
        key="vermatch",
        metavar="REGEX|COMPARISON",
        cli_default="",
        check=Condition,
        help="the version matches this regular expression, or compares: '<1.2.3', '>=1.2,<1.2.9'; ! in front inverts",
    ),
    Parameter(
        name="type",
        key="types",
        many=True,
        choices=("system", *SYSTEM_TYPES, *LANGUAGE_TYPES, *PROGRAM_TYPES, *NAMED_TYPES, "all"),
        metavar="TYPE",
        help="kind of packages; may be repeated; system (the default) is every package manager of systems; all leaves"
        " out sbom and lockfile",
    ),
    Parameter(
        name="path",
        key="paths",
        many=True,
        metavar="DIRECTORY",
        check=absolute_path,
        help="look below this directory for packages of languages and what programs were built from; may be repeated",
    ),
    Parameter(
        name="root",
        key="root",
        metavar="DIRECTORY",
        check=absolute_path_or_none,
        help="look at the system whose file system is mounted here instead of at the endpoint's own",
    ),
)
