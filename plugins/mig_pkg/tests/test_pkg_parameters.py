"""What parameters are accepted, and what version filters mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_pkg import PkgModule
from mig_pkg.condition import Condition
from mig_pkg.package import Package

if TYPE_CHECKING:
    import pathlib


def parse(**raw: Any) -> Any:
    return PkgModule().parse_parameters({"pkgmatch": {"matches": ["."]}, **raw})


def accepts(condition: str, version: str, kind: str = "dpkg") -> bool:
    return Condition(condition).accepts(Package(name="x", plain="x", version=version, type=kind))


@pytest.mark.parametrize(
    ("condition", "version", "expected"),
    [
        ("", "1", True),
        ("^1", "1.2", True),
        ("^1", "2.1", False),
        ("!^1", "2.1", True),
        ("!", "1", False),
        ("!", "1!2", True),
        ("<1.10", "1.9", True),
        ("<1.10", "1.10", False),
        ("<=1.10", "1.10", True),
        (">1.10", "1:0", True),
        (">=1.10", "1.10~rc1", False),
        ("=1.0", "1.0", True),
        ("==1.0", "1.0", True),
        ("!=1.0", "1.0", False),
        ("!<2", "3", True),
        (">=1, <2", "1.5", True),
        (">=1,<2", "2", False),
        ("!>=1,<2", "2", True),
        ("[<]1", "1", False),
        ("[=]", "=", True),
    ],
)
def test_a_version_filter(condition: str, version: str, expected: bool) -> None:
    assert accepts(condition, version) is expected


@pytest.mark.parametrize(
    "condition", ["<", "<>1", "=<1", "<1,", "< 1 2", "<1||2 3", "<" + "1" * 600, "(", "!(", "\ud800"]
)
def test_a_version_filter_that_is_none_is_refused_by_its_path(condition: str) -> None:
    with pytest.raises(ParameterError, match="vermatch"):
        parse(vermatch=condition)


def test_a_comparison_must_fit_one_of_the_types() -> None:
    parse(vermatch="<1.2-3", types=["npm", "dpkg"])

    with pytest.raises(ParameterError, match="not a version of python packages"):
        parse(vermatch="<one", types=["python"])


def test_directories_need_a_type_that_uses_them() -> None:
    parse(paths=["/srv"], types=["npm"])
    parse(paths=["/srv"], types=["all"])

    with pytest.raises(ParameterError, match="paths"):
        parse(paths=["/srv"])
    for path in ("srv", "", "/a\0b"):
        with pytest.raises(ParameterError, match="paths"):
            parse(paths=[path], types=["gem"])


@pytest.mark.parametrize(
    "raw", [{}, {"pkgmatch": None}, {"pkgmatch": {"matches": []}}, {"pkgmatch": {"matches": ["["]}}]
)
def test_at_least_one_good_name_is_needed(raw: Any) -> None:
    with pytest.raises(ParameterError, match=r"pkgmatch\.matches"):
        PkgModule().parse_parameters(raw)


def test_the_command_line_writes_what_the_original_wrote() -> None:
    built = PkgModule().parameters.from_options({"name": ["^bash$"], "version": None})

    assert built == {"pkgmatch": {"matches": ["^bash$"]}, "vermatch": ""}


def test_types_are_looked_at_in_the_original_s_order() -> None:
    systems = ("rpm", "dpkg", "apk", "pacman", "opkg", "snap", "flatpak", "chisel")
    assert parse().types == systems
    assert parse(types=["gem", "dpkg"]).types == ("dpkg", "gem")
    assert parse(types=["all"]).types == (*systems, "python", "npm", "gem", "conda")
    assert parse(types=["all"], paths=["/srv"]).types == (
        *systems,
        "python",
        "npm",
        "gem",
        "conda",
        "go",
        "cargo",
        "jar",
    )
    assert parse(types=["lockfile", "sbom", "jar"]).types == ("jar", "sbom", "lockfile")
    with pytest.raises(ParameterError, match="types"):
        parse(types=["snaps"])


def test_lines_are_the_original_s(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", "P:musl\nV:1.2.4-r2\nA:x86_64\n\nbad\n")
    write(
        "/var/lib/dpkg/status",
        "Package: held\nStatus: hold ok unpacked\nArchitecture: all\nVersion: 1\n\n",
    )
    result = ask(".", root=str(tmp_path)).result
    module = PkgModule()

    assert list(module.lines(result, found_only=True)) == [
        "pkgmatch name=held version=1 type=dpkg arch=all state=unpacked selection=hold",
        "pkgmatch name=musl version=1.2.4-r2 type=apk arch=x86_64",
    ]
    told = list(module.lines(result, found_only=False))[2:]
    assert told[0].startswith("Not looked at: 1 record not understood (/lib/apk/db/installed")
    assert told[1] == "The answer is not complete."
    assert told[2].startswith("Statistics: runtime ")
