"""Python, npm and gem packages: the usual directories, directories asked for, odd metadata."""

from __future__ import annotations

import importlib.metadata
import json
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathlib

NOT_NAMED = "rest of the system, paths were named"
SITE = "/usr/lib/python3.11/site-packages"


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not-this\nVersion: 0\n"


def test_python_distributions_of_every_form_are_found(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(f"{SITE}/requests-2.31.0.dist-info/METADATA", metadata("requests", "2.31.0"))
    write(f"{SITE}/old.egg-info", metadata("old", "1.0"))
    write(f"{SITE}/older-2.egg-info/PKG-INFO", metadata("older", "2"))
    write(f"{SITE}/zipped-3.egg/EGG-INFO/PKG-INFO", metadata("zipped", "3"))
    write("/home/me/.local/lib/python3.12/site-packages/own-1.dist-info/METADATA", metadata("own", "1"))

    said = ask(".", root=str(tmp_path), types=["python"])

    assert {(row["name"], row["version"]) for row in said.rows} == {
        ("requests", "2.31.0"),
        ("old", "1.0"),
        ("older", "2"),
        ("zipped", "3"),
        ("own", "1"),
    }
    assert next(row for row in said.rows if row["name"] == "requests") == {
        "name": "requests",
        "version": "2.31.0",
        "type": "python",
        "arch": "",
        "path": f"{SITE}/requests-2.31.0.dist-info",
    }
    assert said.complete
    assert ask(".", version="<2.32,>2.0", root=str(tmp_path), types=["python"]).names == ["requests"]


def test_distributions_below_a_directory_asked_for_are_those_that_python_sees(ask: Any) -> None:
    place = sysconfig.get_paths()["purelib"]
    expected = {(one.metadata["Name"], one.version) for one in importlib.metadata.distributions(path=[place])}

    said = ask(".", types=["python"], paths=[place])

    below = {(row["name"], row["version"]) for row in said.rows if row["path"].startswith(place)}
    assert expected <= below


def test_npm_packages_inside_packages_are_found_once(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    for path, name, version in (
        ("/usr/lib/node_modules/npm", "npm", "9.2.0"),
        ("/usr/lib/node_modules/npm/node_modules/semver", "semver", "7.3.8"),
        ("/usr/lib/node_modules/npm/node_modules/@scope/inner", "@scope/inner", "1.0.0-rc.1"),
        ("/srv/app/node_modules/lodash", "lodash", "4.17.20"),
        ("/srv/app/node_modules/lodash/node_modules/deep", "deep", "0.1.0"),
    ):
        write(f"{path}/package.json", json.dumps({"name": name, "version": version}))
    write("/usr/lib/node_modules/bad/package.json", "{")
    write("/usr/lib/node_modules/worse/package.json", "[" * 100_000)
    write("/srv/app/node_modules/.package-lock.json", "{}")

    said = ask(".", root=str(tmp_path), types=["npm"], paths=["/srv", "/srv/app"])

    assert sorted(said.names) == ["@scope/inner", "deep", "lodash", "npm", "semver"]
    assert said.reasons == {"record not understood": 2, NOT_NAMED: 1}
    assert ask("^lodash$", version="<4.17.21", root=str(tmp_path), types=["npm"], paths=["/srv"]).result.found


def test_gems_are_found_by_their_specifications(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    base = "/var/lib/gems/3.1.0/specifications"
    write(
        f"{base}/rake-13.0.6.gemspec",
        "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new\n",
    )
    write(f"{base}/nokogiri-1.15.gemspec", "# stub: nokogiri 1.15.4 x86_64-linux lib\n")
    write(f"{base}/default/json-2.6.gemspec", 's = 1\n  s.name = "json".freeze\n  s.version = "2.6.1"\n')
    write(
        f"{base}/other.gemspec",
        "Gem::Specification.new do |spec|\n  spec.name=OTHER\n  s.version = Gem::Version.new('1.a')\nend\n",
    )

    said = ask(".", root=str(tmp_path), types=["gem"])

    assert sorted((row["name"], row["version"], row["arch"]) for row in said.rows) == [
        ("json", "2.6.1", ""),
        ("nokogiri", "1.15.4", "x86_64-linux"),
        ("rake", "13.0.6", ""),
    ]
    assert said.reasons == {"record not understood": 1}


def test_a_directory_asked_for_that_is_not_there_is_booked(ask: Any, tmp_path: pathlib.Path) -> None:
    said = ask(".", root=str(tmp_path), types=["gem"], paths=["/nosuch"])

    assert said.reasons == {"package database unreadable": 1, NOT_NAMED: 1}


def test_loops_of_links_end(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/node_modules/a/package.json", json.dumps({"name": "a", "version": "1.0.0"}))
    (tmp_path / "srv/node_modules/a/node_modules").symlink_to("..")
    (tmp_path / "srv/loop").symlink_to("/srv")

    said = ask(".", root=str(tmp_path), types=["npm", "python", "gem"], paths=["/"])

    assert said.names == ["a"]


def test_masking_hides_paths_and_keeps_names(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    from mig_pkg import PkgModule

    write(f"{SITE}/requests-2.31.0.dist-info/METADATA", metadata("requests", "2.31.0"))
    write(f"{SITE}/bad.dist-info/METADATA", "")
    result = ask(".", root=str(tmp_path), types=["python"]).result

    masked = PkgModule().mask(result)

    assert str(masked.to_json()).count("masked") == 1
    assert SITE not in str(masked.to_json())
    assert "requests" in str(masked.to_json())
