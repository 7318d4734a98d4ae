"""Filters on what is beside names, sizes and content: ctime, btime, owner, group, extended attributes, capabilities."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_endpoint.capabilities import NAMES
from mig_endpoint.files import owners
from mig_endpoint.files.attributes import CAPABILITY, birth_time, capabilities_text
from mig_endpoint.finding import reasons
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

MODULE = FileModule()
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def _ask(path: Path, **search: Any) -> ModuleResult:
    options = {"matchall": True} | search.pop("options", {})
    raw = {"searches": {"s1": {"paths": [str(path)], "options": options, **search}}}
    return MODULE.run(MODULE.parse_parameters(raw), Context(deadline=time.monotonic() + 60))


def _names(result: ModuleResult) -> list[str]:
    elements: Any = result.elements
    return sorted(os.path.basename(row["file"]) for row in elements["s1"] if row["file"])


def _skipped(result: ModuleResult) -> dict[str, int]:
    return {one.reason: one.count for one in result.coverage.skipped}


def test_a_changed_status_shows_what_a_set_back_mtime_hides(tmp_path: Path) -> None:
    (tmp_path / "planted").touch()
    os.utime(tmp_path / "planted", ns=(0, 0))

    assert _names(_ask(tmp_path, mtimes=["<2d"])) == []
    assert _names(_ask(tmp_path, ctimes=["<2d"])) == ["planted"]
    assert _names(_ask(tmp_path, ctimes=["<2d"], options={"mismatch": ["ctime"]})) == []
    assert _names(_ask(tmp_path, ctimes=[">2d"])) == []


def _has_birth_times(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return birth_time(".", fd, follow=True) is not None
    finally:
        os.close(fd)


def test_the_time_of_birth_is_known_or_said_to_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.utime(tmp_path / "file", ns=(0, 0))

    young, old = _ask(tmp_path, btimes=["<1h"]), _ask(tmp_path, btimes=[">1h"])

    if _has_birth_times(tmp_path):
        assert (_names(young), _names(old)) == (["file"], [])
        assert young.coverage.complete
    else:
        assert _skipped(young)[reasons.NO_BIRTH.text] == 1
        assert not young.coverage.complete


def test_a_file_whose_birth_nobody_knows_is_neither_old_nor_young() -> None:
    asked = {"paths": ["/proc/self/status"], "btimes": ["<1h"], "options": {"matchall": False}, "names": ["status"]}

    result = MODULE.run(MODULE.parse_parameters({"searches": {"s1": asked}}), Context(deadline=time.monotonic() + 60))

    assert _skipped(result) == {reasons.NO_BIRTH.text: 1}
    assert _names(result) == ["status"]  # by its name, which is a filter of its own


def test_the_birth_of_a_link_and_of_what_it_leads_to_are_two() -> None:
    fd = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError):
            birth_time("no-such-thing", fd, follow=True)
    finally:
        os.close(fd)


@needs_root
def test_owner_and_group_by_number_and_by_name(tmp_path: Path) -> None:
    for name, uid, gid in (("roots", 0, 0), ("daemons", 1, 1), ("strangers", 54321, 54322)):
        (tmp_path / name).touch()
        os.chown(tmp_path / name, uid, gid)
    daemon = next(iter(owners.user_ids("daemon")))
    assert daemon == 1

    assert _names(_ask(tmp_path, owners=["root"])) == ["roots"]
    assert _names(_ask(tmp_path, owners=["54321"])) == ["strangers"]
    assert _names(_ask(tmp_path, owners=["daemon", "54321"])) == ["daemons", "strangers"]
    assert _names(_ask(tmp_path, owners=["!root"])) == ["daemons", "strangers"]
    assert _names(_ask(tmp_path, owners=["!root", "!1"])) == ["strangers"]
    assert _names(_ask(tmp_path, owners=["root", "daemon"], options={"mismatch": ["owner"]})) == ["strangers"]
    assert _names(_ask(tmp_path, groups=["daemon"])) == ["daemons"]
    assert _names(_ask(tmp_path, types=["d"], owners=["root"])) == [tmp_path.name]


def test_an_account_that_the_endpoint_does_not_have_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = _ask(tmp_path, owners=["no-such-account"])

    assert not result.found
    assert "no-such-account" in result.errors[0]


def test_whether_there_may_be_accounts_elsewhere_is_the_name_service_switchs_word(tmp_path: Path) -> None:
    (tmp_path / "local").write_text("# passwd: ldap\npasswd: files systemd\ngroup: files [NOTFOUND=return] sss # x\n")

    assert owners.all_names_are_known("passwd", str(tmp_path / "local"))
    assert not owners.all_names_are_known("group", str(tmp_path / "local"))
    assert owners.all_names_are_known("passwd", str(tmp_path / "nothing"))


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    for name in ("plain", "downloaded", "hidden"):
        (tmp_path / name).touch()
    try:
        os.setxattr(tmp_path / "downloaded", "user.xdg.origin.url", b"https://evil.example/x")
        os.setxattr(tmp_path / "hidden", "user.payload", b"\xff\x00MZ")
    except OSError:
        pytest.skip("the file system has no user attributes")
    return tmp_path


def test_an_extended_attribute_is_matched_with_its_value(marked: Path) -> None:
    assert _names(_ask(marked, xattrs=["^user[.]"])) == ["downloaded", "hidden"]
    assert _names(_ask(marked, xattrs=["^user.xdg.origin.url=https://evil"])) == ["downloaded"]
    assert _names(_ask(marked, xattrs=[r"=.\x00MZ$"])) == ["hidden"]
    assert _names(_ask(marked, xattrs=["!^user"])) == ["plain"]
    assert _names(_ask(marked, xattrs=["^user"], names=["^h"])) == ["hidden"]
    assert _ask(marked, xattrs=["^user"]).coverage.complete


def test_attributes_of_a_link_are_those_of_what_it_leads_to_unless_links_are_asked_for(marked: Path) -> None:
    (marked / "link").symlink_to("hidden")

    assert _names(_ask(marked, xattrs=["payload"])) == ["hidden", "link"]
    assert _names(_ask(marked, xattrs=["payload"], types=["f", "l"])) == ["hidden"]


def test_a_file_system_without_attributes_has_none() -> None:
    asked = {"paths": ["/proc/self/status"], "xattrs": ["!."], "options": {"matchall": True}}

    result = MODULE.run(MODULE.parse_parameters({"searches": {"s1": asked}}), Context(deadline=time.monotonic() + 60))

    assert result.found
    assert result.coverage.complete


def _capability(permitted: int, inheritable: int = 0, *, effective: bool = True, root: int | None = None) -> bytes:
    revision = 0x02000000 if root is None else 0x03000000
    head = struct.pack("<IIIII", revision | effective, permitted & 0xFFFFFFFF, inheritable & 0xFFFFFFFF,
                       permitted >> 32, inheritable >> 32)  # fmt: skip
    return head if root is None else head + struct.pack("<I", root)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_capability(1 << 13), "cap_net_raw=ep"),
        (_capability(1 << 13 | 1 << 12, effective=False), "cap_net_admin,cap_net_raw=p"),
        (_capability(1 << 10, 1 << 21), "cap_net_bind_service=ep cap_sys_admin=ei"),
        (_capability(1 << 40), "cap_checkpoint_restore=ep"),
        (_capability(1 << 62), "cap_62=ep"),
        (_capability(1 << 7, root=1000), "cap_setuid=ep [rootid=1000]"),
        (struct.pack("<III", 0x01000001, 1 << 13, 0), "cap_net_raw=ep"),
        (_capability(0), ""),
        (b"", ""),
        (b"\x00" * 20, ""),
        (_capability(1 << 13)[:11], ""),
        (struct.pack("<IIIII", 0x09000001, 1, 0, 0, 0), ""),
    ],
)
def test_capabilities_are_written_by_their_names(value: bytes, text: str) -> None:
    assert capabilities_text(value) == text


def test_a_file_with_all_capabilities_but_one_is_told_with_those_that_it_has() -> None:
    names = capabilities_text(_capability((1 << 41) - 1 & ~(1 << 7))).removesuffix("=ep").split(",")

    assert len(names) == 40
    assert "cap_sys_admin" in names
    assert "cap_setuid" not in names


def test_every_capability_of_this_kernel_has_a_name() -> None:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as last:
        assert len(NAMES) > int(last.read())


@needs_root
def test_files_with_capabilities_are_found_by_them(tmp_path: Path) -> None:
    for name in ("plain", "raw", "admin"):
        (tmp_path / name).touch()
    try:
        os.setxattr(tmp_path / "raw", CAPABILITY, _capability(1 << 13))
        os.setxattr(tmp_path / "admin", CAPABILITY, _capability(1 << 21))
    except OSError:
        pytest.skip("the file system has no capabilities")

    assert _names(_ask(tmp_path, capabilities=["."])) == ["admin", "raw"]
    assert _names(_ask(tmp_path, capabilities=["cap_sys_admin"])) == ["admin"]
    assert _names(_ask(tmp_path, capabilities=["!cap_sys_admin"])) == ["plain", "raw"]
    assert _names(_ask(tmp_path, capabilities=["."], options={"mismatch": ["capability"]})) == ["plain"]


@pytest.mark.parametrize(
    "search",
    [
        {"owners": ["a b"]},
        {"owners": ["a:b"]},
        {"owners": ["4294967296"]},
        {"types": ["x"]},
        {"ctimes": ["2d"]},
        {"xattrs": ["("]},
    ],
)
def test_values_that_cannot_be_meant_are_refused(search: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        MODULE.parse_parameters({"searches": {"s1": {"paths": ["/"], **search}}})
