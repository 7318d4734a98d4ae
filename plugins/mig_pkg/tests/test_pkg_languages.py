"""Python and gem packages: every tool's homes, directories asked for, odd metadata; what holds for every language."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sysconfig
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing
from mig_endpoint.packages import homes
from mig_endpoint.testing.containers import contained

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


@pytest.mark.parametrize("target", ["../../../../deps", "/srv/deps"])
@pytest.mark.parametrize(
    ("link", "file", "content"),
    [
        ("lib/python3.11/site-packages", "evil-1.dist-info/METADATA", metadata("evil", "1")),
        (
            "gems/3.1.0/specifications",
            "evil-1.gemspec",
            'Gem::Specification.new do |s|\n  s.name = "evil"\n  s.version = "1"\nend\n',
        ),
    ],
)
def test_a_directory_of_packages_that_is_a_link_is_followed(
    target: str, link: str, file: str, content: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(f"/srv/deps/{file}", content)
    place = tmp_path / "srv/app/venv" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(target)

    said = ask("^evil$", root=str(tmp_path), types=["python", "gem"], paths=["/srv/app"])

    assert said.names == ["evil"]
    assert said.complete


def test_distributions_below_a_directory_asked_for_are_those_that_python_sees(ask: Any) -> None:
    place = sysconfig.get_paths()["purelib"]
    expected = {(one.metadata["Name"], one.version) for one in importlib.metadata.distributions(path=[place])}

    said = ask(".", types=["python"], paths=[place])

    below = {(row["name"], row["version"]) for row in said.rows if row["path"].startswith(place)}
    assert expected <= below


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


def test_a_path_may_be_a_pattern(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    for place in ("one", "two", "[odd]"):
        write(f"/data/{place}/lib/a-1.dist-info/METADATA", metadata(place.strip("[]"), "1"))
    write("/data/one/other/b-1.dist-info/METADATA", metadata("other", "1"))

    assert sorted(ask(".", root=str(tmp_path), types=["python"], paths=["/data/*/lib"]).names) == ["odd", "one", "two"]
    assert ask(".", root=str(tmp_path), types=["python"], paths=["/data/[odd]"]).names == ["odd"]
    nothing = ask(".", root=str(tmp_path), types=["python"], paths=["/data/*/none"])
    assert nothing.reasons == {"package database unreadable": 1, NOT_NAMED: 1}


def test_links_in_packages_of_a_mounted_system_stay_in_it(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/outside/PKG-INFO", metadata("outside", "1"))
    write("/outside/node_modules/x/package.json", '{"name": "outside", "version": "1"}')
    outside = tmp_path / "outside"
    for place in ("system/t/a.egg/EGG-INFO", "system/t/a.dist-info", "system/t/node_modules"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).symlink_to(outside / "node_modules" if place.endswith("modules") else outside)

    assert ask(".", root=str(tmp_path / "system"), types=["python", "npm"]).rows == []


def test_what_an_overlay_has_for_a_removed_package_is_none(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/t/a-1.dist-info/METADATA", metadata("a", "1"))
    for name in ("gone-1.dist-info", "gone-1.egg-info"):
        os.mkfifo(tmp_path / "t" / name)  # an overlay's own mark is a device, which takes root to make

    said = ask(".", root=str(tmp_path), types=["python"])

    assert said.names == ["a"]
    assert said.complete


def test_loops_of_links_end(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/node_modules/a/package.json", '{"name": "a", "version": "1.0.0"}')
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


@pytest.mark.parametrize("site", homes.PYTHON_SITES)
@pytest.mark.parametrize("pattern", homes.patterns(homes.PYTHON))
def test_every_home_of_python_is_looked_at(
    pattern: str, site: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    place = f"{pattern}/{site}".replace("~", "/var/lib/jenkins").replace("*", "3")
    write(f"{place}/evil-1.dist-info/METADATA", metadata("evil", "1"))
    write("/etc/passwd", "jenkins:x:1:1::/var/lib/jenkins:/bin/false\n")

    said = ask("^evil$", root=str(tmp_path), types=["python"], paths=["/etc"])

    assert [row["path"] for row in said.rows] == [f"{place}/evil-1.dist-info"]


@pytest.mark.parametrize("below", ["", "/default"])
@pytest.mark.parametrize("pattern", homes.patterns(homes.GEM, homes.GEM_SITES))
def test_every_home_of_gems_is_looked_at(
    pattern: str, below: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    place = pattern.replace("~", "/var/lib/jenkins").replace("*", "x") + below
    write(f"{place}/evil-1.gemspec", "# stub: evil 1 ruby lib\n")
    write("/etc/passwd", "jenkins:x:1:1::/var/lib/jenkins:/bin/false\n")

    said = ask("^evil$", root=str(tmp_path), types=["gem"], paths=["/etc"])

    assert [row["path"] for row in said.rows] == [f"{place}/evil-1.gemspec"]


def test_packages_of_a_small_system_are_found_wherever_they_lie(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/data/apps/one/environment/lib/python3.9/site-packages/evil-1.dist-info/METADATA", metadata("evil", "1"))
    write("/data/apps/one/bundled/evil-2.dist-info/METADATA", metadata("evil", "2"))
    write("/data/apps/two/vendor/bundle/ruby/3.1.0/specifications/evil-3.gemspec", "# stub: evil 3 ruby lib\n")
    write(
        "/data/apps/two/vendor/bundle/ruby/3.1.0/bundler/gems/evil-0a1b2c/evil.gemspec",
        "# stub: evil 4 ruby lib\n",
    )

    said = ask("^evil$", root=str(tmp_path), types=["python", "gem"])

    assert sorted(row["version"] for row in said.rows) == ["1", "2", "3", "4"]
    assert said.complete


def test_a_library_directory_that_is_a_link_to_another_gives_its_packages_once(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/srv/app/.venv/lib/python3.11/site-packages/evil-1.dist-info/METADATA", metadata("evil", "1"))
    (tmp_path / "srv/app/.venv/lib64").symlink_to("lib")

    assert ask("^evil$", root=str(tmp_path), types=["python"]).names == ["evil"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_first_name_and_version_count(ending: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    lines = ["Metadata-Version: 2.1", "Name: two", "Version: 1.0", "Name: other", "Version: 9.9", "", "Name: text"]
    write(f"{SITE}/two-1.0.dist-info/METADATA", ending.join(lines))

    said = ask(".", root=str(tmp_path), types=["python"])

    assert [(row["name"], row["version"]) for row in said.rows] == [("two", "1.0")]


@pytest.mark.parametrize("asked", ["^Foo[.]Bar_baz$", "^foo-bar-baz$"])
def test_a_name_matches_as_written_and_in_its_normal_form(
    asked: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(f"{SITE}/foo_bar_baz-1.dist-info/METADATA", metadata("Foo.Bar_baz", "1"))

    assert ask(asked, root=str(tmp_path), types=["python"]).names == ["Foo.Bar_baz"]


def test_a_package_that_two_expressions_match_is_one_row(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(f"{SITE}/one-1.dist-info/METADATA", metadata("one", "1"))
    write(f"{SITE}/two-1.dist-info/METADATA", metadata("two", "1"))

    assert ask("two", "o", root=str(tmp_path), types=["python"]).names == ["two", "one"]


def test_licences_of_others_are_no_distributions(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    info = "/t/flit_core-4.2.0.dist-info"
    write(f"{info}/METADATA", metadata("flit-core", "4.2.0"))
    write(f"{info}/licenses/vendor/tomli-1.2.3.dist-info/LICENSE", "MIT")
    write(f"{info}/licenses/vendor/old-1.2.3.egg-info/PKG-INFO", metadata("old", "1.2.3"))

    for path in ("/t", info):
        said = ask(".", root=str(tmp_path), types=["python"], paths=[path])

        assert said.names == ["flit-core"]
        assert said.complete


@pytest.mark.parametrize("path", ["/opt/app/tool.pex", "/root/bin/tool.pyz"])
def test_the_distributions_in_a_zipped_program_are_found(
    path: str, ask: Any, tmp_path: pathlib.Path, write: Any
) -> None:
    with zipfile.ZipFile(write(path, b""), "w") as program:
        program.writestr("__main__.py", "")
        program.writestr(
            ".deps/six-1.16.0-py2.py3-none-any.whl/six-1.16.0.dist-info/METADATA", metadata("six", "1.16.0")
        )
        program.writestr("site-packages/a.dist-info/licenses/old-1.dist-info/METADATA", metadata("old", "1"))
        program.writestr(".deps/Foo_Bar-2.0-cp311-cp311-linux_x86_64.whl", b"a wheel")
    write(f"{path}.txt", "")
    write("/opt/app/build/PYZ-00.pyz", b"PYZ\0\xa7\r\r\n")
    write("/opt/app/none.pex", "no zip")

    said = ask(".", root=str(tmp_path), types=["python"], paths=["/opt", "/root"])

    assert [(row["name"], row["version"], row["path"]) for row in said.rows] == [
        ("six", "1.16.0", f"{path}/.deps/six-1.16.0-py2.py3-none-any.whl/six-1.16.0.dist-info"),
        ("Foo_Bar", "2.0", f"{path}/.deps/Foo_Bar-2.0-cp311-cp311-linux_x86_64.whl"),
    ]
    assert ask("^foo-bar$", root=str(tmp_path), types=["python"], paths=[path]).names == ["Foo_Bar"]
    assert [one for one in said.reasons if "named" not in one] == ["package database unreadable"]


def test_zipped_eggs_are_read(ask: Any, tmp_path: pathlib.Path, write: Any) -> None:
    place = tmp_path / SITE[1:]
    place.mkdir(parents=True)
    for name, member in (("good-1-py3.11.egg", "EGG-INFO/PKG-INFO"), ("other.egg", "something")):
        with zipfile.ZipFile(place / name, "w") as archive:
            archive.writestr(member, metadata("good", "1"))
    write(f"{SITE}/bad.egg", "no zip")

    said = ask(".", root=str(tmp_path), types=["python"])

    assert [(row["name"], row["path"]) for row in said.rows] == [("good", f"{SITE}/good-1-py3.11.egg")]
    assert said.reasons == {"package database unreadable": 1}


@pytest.mark.parametrize("place", ["/opt/src/tree/src", "../../../../../opt/src/tree/src"])
def test_an_egg_link_is_followed_to_what_it_installs(place: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(f"{SITE}/Tree.Pkg.egg-link", f"{place}\n../")
    write(f"{SITE}/gone.egg-link", "/opt/gone\n.")
    write("/opt/src/tree/setup.py", "")
    write("/opt/src/tree/src/tree_pkg.egg-info/PKG-INFO", metadata("Tree.Pkg", "1.5"))
    write("/opt/src/tree/src/stale.egg-info/PKG-INFO", metadata("stale", "0"))

    said = ask(".", root=str(tmp_path), types=["python"])

    assert [(row["name"], row["version"]) for row in said.rows] == [("Tree.Pkg", "1.5")]
    assert said.complete


@pytest.mark.parametrize("project", ["pyproject.toml", "setup.py", "setup.cfg"])
def test_what_building_left_in_a_source_tree_is_not_installed(
    project: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(f"/home/me/tree/{project}", "")
    write("/home/me/tree/src/edm.egg-info/PKG-INFO", metadata("edm", "1.4"))
    write("/home/me/tree/dist/edm-1.4-py3.11.egg", "zip")
    write("/home/me/tree/edm.egg-info/PKG-INFO", metadata("edm", "1.3"))
    write(f"{SITE}/edm-1.5.dist-info/METADATA", metadata("edm", "1.5"))

    said = ask("^edm$", root=str(tmp_path), types=["python"])

    assert [row["version"] for row in said.rows] == ["1.5"]
    assert said.reasons == {"copy that is not installed": 3}
    assert said.complete


def test_what_was_not_gone_into_makes_an_answer_incomplete(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/usr/lib/python3/dist-packages/a-1.dist-info/METADATA", metadata("a", "1"))
    for number in range(6100):
        (tmp_path / "data" / str(number)).mkdir(parents=True)

    said = ask(".", root=str(tmp_path), types=["python"])
    named = ask(".", root=str(tmp_path), types=["python"], paths=["/"])

    assert not said.complete
    assert said.names == named.names == ["a"]
    assert said.reasons["directory not gone into"] > 100
    assert named.complete


def test_homes_on_a_file_system_that_does_not_answer_cost_nothing_and_are_said(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        service_missing("needs root and FUSE")
    write(f"{SITE}/a-1.dist-info/METADATA", metadata("a", "1"))
    write("/etc/passwd", "ada:x:1:1::/home/ada:/bin/sh\n")
    home = tmp_path / "home"
    home.mkdir()
    channel = os.open("/dev/fuse", os.O_RDWR)  # nobody reads from it: whatever asks the mount waits
    options = f"fd={channel},rootmode=40000,user_id=0,group_id=0"
    mounted = subprocess.run(["mount", "-i", "-t", "fuse", "-o", options, "x", home], check=False, pass_fds=(channel,))
    if mounted.returncode:
        os.close(channel)
        service_missing("this machine does not mount FUSE")
    try:
        said = ask(".", root=str(tmp_path), types=["python", "npm", "gem"], seconds=20)
    finally:
        os.close(channel)
        subprocess.run(["umount", "-l", home], check=False)

    assert said.names == ["a"]
    assert said.reasons == {"network file system not gone into": 1, "no directory of packages found": 2}


def test_a_containers_packages_are_found_and_its_network_mounts_not_waited_for(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(f"{SITE}/requests-2.31.0.dist-info/METADATA", metadata("requests", "2.31.0"))
    write("/srv/app/node_modules/left/package.json", '{"name": "left", "version": "1.0.0"}')
    (tmp_path / "srv/share").mkdir()

    with contained(tmp_path, silent="/srv/share") as root:
        said = ask(".", root=root, types=["python", "npm"])

    assert {(row["name"], row["path"]) for row in said.rows} == {
        ("requests", f"{SITE}/requests-2.31.0.dist-info"),
        ("left", "/srv/app/node_modules/left"),
    }
    assert said.reasons["network file system not gone into"] == 1
    assert not said.complete
