"""What systemd's own programs say of the same files: states, search paths, files that replace one another."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from mig_autorun.finding import find
from mig_autorun.system import System
from mig_autorun.systemd.scope import Scope
from mig_autorun.systemd.state import States
from mig_core.plugin.coverage import Tally
from mig_endpoint.packages.tree import Tree
from mig_endpoint.places.place import all_places

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Root

ETC, RUN, LIB = "/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"
PLACES = {one.name: one for one in all_places()}

pytestmark = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd's programs are not installed")


def system_at(path: Path | str) -> System:
    return System(Tree(str(path)), Tally(), lambda: 60.0, time.time())


def scope_at(path: Path | str) -> Scope:
    return Scope(system_at(path), [spot.pattern for spot in PLACES["systemd-system"].spots])


def answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def listed(path: Path | str) -> dict[str, str]:
    """Units and their states as systemctl lists them."""
    text = answer("systemctl", f"--root={path}", "list-unit-files", "--no-legend", "--no-pager", "--full")
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line.strip()}


def ours(path: Path | str) -> dict[str, str]:
    scope = scope_at(path)
    states = States(scope)
    return {name: states.of(name) for name in scope.known()}


def test_the_units_of_this_system_have_the_states_that_systemctl_lists() -> None:
    theirs = listed("/")

    mine = ours("/")

    assert theirs
    assert {name: mine.get(name) for name in theirs} == theirs


def test_units_made_to_be_hard_have_the_states_that_systemctl_gives_them(root: Root) -> None:
    unit, wanted = "[Service]\nExecStart=/bin/true\n", "[Install]\nWantedBy=multi-user.target\n"
    root.write(f"{LIB}/multi-user.target", "[Unit]\nDescription=x\n")
    for name in ("plain", "wanted", "runtime", "own-wants", "masked", "masked-run", "masked-empty", "overridden"):
        root.write(f"{LIB}/{name}.service", unit + wanted)
    root.write(f"{LIB}/static.service", unit)
    root.write(f"{LIB}/also.service", f"{unit}[Install]\nAlso=plain.service\n")
    root.write(f"{LIB}/aliased.service", f"{unit}[Install]\nAlias=other.service\n")
    root.write(f"{LIB}/unaliased.service", f"{unit}[Install]\nAlias=nobody.service\n")
    root.write(f"{LIB}/t@.service", f"{unit}[Install]\nWantedBy=multi-user.target\nDefaultInstance=d\n")
    root.write(f"{LIB}/u@.service", unit + wanted)
    root.write("/opt/linked.service", unit + wanted)
    root.write("/opt/linked-wanted.service", unit + wanted)
    root.link(f"{ETC}/linked.service", "/opt/linked.service")
    root.link(f"{ETC}/linked-wanted.service", "/opt/linked-wanted.service")
    root.link(f"{ETC}/multi-user.target.wants/linked-wanted.service", "/opt/linked-wanted.service")
    root.link(f"{ETC}/multi-user.target.wants/wanted.service", f"{LIB}/wanted.service")
    root.link(f"{ETC}/multi-user.target.wants/u@7.service", f"{LIB}/u@.service")
    root.write(f"{LIB}/v@.service", f"{unit}[Install]\nWantedBy=multi-user.target\nDefaultInstance=d\n")
    root.link(f"{ETC}/multi-user.target.wants/v@d.service", f"{LIB}/v@.service")
    root.link(f"{RUN}/multi-user.target.wants/runtime.service", f"{LIB}/runtime.service")
    root.link(f"{LIB}/multi-user.target.wants/own-wants.service", "../own-wants.service")
    root.link(f"{ETC}/other.service", f"{LIB}/aliased.service")
    root.link(f"{LIB}/vendor-alias.service", "plain.service")
    root.link(f"{ETC}/masked.service", "/dev/null")
    root.link(f"{RUN}/masked-run.service", "/dev/null")
    root.write(f"{ETC}/masked-empty.service")
    root.write(f"{ETC}/overridden.service", unit)
    root.write(f"{ETC}/comment.service", "# only this\n")

    theirs = listed(root.path)

    mine = ours(root.path)
    assert len(theirs) > 20
    assert {name: mine.get(name) for name in theirs} == theirs
    for name in ("u@7.service", "t@x.service", "vendor-alias.service", "nosuch.service"):
        said = answer("systemctl", f"--root={root.path}", "is-enabled", name).strip() or "not-found"
        assert (name, States(scope_at(root.path)).of(name)) == (name, said)


def test_the_search_path_is_systemds_own() -> None:
    theirs = [line for line in answer("systemd-analyze", "unit-paths").split() if line.startswith("/")]

    mine = [spot.pattern for spot in PLACES["systemd-system"].spots]

    assert sorted(theirs) == sorted(mine)
    vendor = ("/lib/systemd/system", "/usr/lib/systemd/system")  # one folder, whose two names Debian orders otherwise
    assert [one for one in theirs if one not in vendor] == [one for one in mine if one not in vendor]


def test_the_search_path_of_users_has_all_that_systemd_looks_at() -> None:
    theirs = [line for line in answer("systemd-analyze", "--user", "unit-paths").split() if line.startswith("/")]
    if not theirs:
        pytest.skip("systemd-analyze needs a session for the paths of users")
    mine = [
        re.escape(spot.pattern).replace("\\*", "[^/]+").replace("\\~", "~").replace("~", "/.*")
        for spot in PLACES["systemd-user"].spots
    ]
    known = re.compile("|".join(mine))
    flatpak = re.compile(
        r".*/(flatpak/exports|\.local/share/flatpak/.*|/run/credentials.*|site|desktop-directories)/.*"
    )

    assert [one for one in theirs if not known.fullmatch(one) and not flatpak.fullmatch(one)] == []


@pytest.mark.parametrize(
    ("place", "folder"), [("tmpfiles", "tmpfiles.d"), ("modules-load", "modules-load.d"), ("sysctl", "sysctl.d")]
)
def test_files_that_replace_one_another_are_those_of_cat_config(root: Root, place: str, folder: str) -> None:
    for number, where in enumerate(("/usr/lib", "/usr/local/lib", "/run", "/etc")):
        for name in ("all.conf", f"{number}.conf", f".{number}.conf", f"{number}.conf.bak"):
            root.write(f"{where}/{folder}/{name}", f"# {where}\n")
    root.write(f"/usr/lib/{folder}/masked.conf", "#\n")
    root.link(f"/etc/{folder}/masked.conf", "/dev/null")
    root.write(f"/usr/lib/{folder}/emptied.conf", "#\n")
    root.write(f"/run/{folder}/emptied.conf")

    text = answer("systemd-analyze", f"--root={root.path}", "cat-config", folder)
    theirs = set(re.findall(rf"^# {re.escape(str(root.path))}(/.*)$", text, re.MULTILINE))

    found = find(system_at(root.path), PLACES[place])
    assert {one.file.path for one in found if one.state in ("", "mask")} == theirs
