"""Tags that a host gives: from files of its owner, and from what cloud-init left."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.ownership import fault_of
from mig_core.agent.platform.host_tags import HostTags

if TYPE_CHECKING:
    from pathlib import Path


def writers(path: Path) -> str:
    """As the agent asks: who else could write it."""
    found = fault_of(path, {0, os.geteuid()})
    return f"{found[0]}: {found[1]}" if found else ""


CLOUD = {"region": "v1.region", "role": "ds.meta_data.tags.role", "none": "v1.nothing.there", "list": "v1.many"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tags.d"
    folder.mkdir()
    return folder


def test_each_file_is_a_tag_and_they_are_read_anew_when_they_change(folder: Path, tmp_path: Path) -> None:
    (folder / "site").write_text("berlin\nanother line\n")
    (folder / ".hidden").write_text("no")
    (folder / "no tag").write_text("no")
    host = HostTags(folder, {}, tmp_path / "none", writers)
    before = host.tags()

    (folder / "site").unlink()
    (folder / "team").write_text("blue")

    assert (before, host.problems()) == ({"site": "berlin"}, {})
    assert not host.look(at_once=False), "perhaps somebody is still writing"
    assert host.look(at_once=False) and host.tags() == {"team": "blue"}
    assert not host.look(at_once=True)


def test_a_file_that_others_could_write_gives_no_tag_and_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "site").write_text("berlin")
    (folder / "team").write_text("red")
    (folder / "team").chmod(0o666)
    (folder / "bad").write_bytes(b"\xff")

    host = HostTags(folder, {}, tmp_path / "none", writers)

    assert host.tags() == {"site": "berlin"}
    assert "others may write it" in host.problems()["tags"] and "bad" in host.problems()["tags"]


def test_tags_of_the_cloud_come_when_cloud_init_has_left_its_file_and_files_win(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "instance-data.json"
    host = HostTags(folder, CLOUD, file, writers)
    before = host.tags()

    meta = {"tags": {"role": "web"}}
    file.write_text(json.dumps({"v1": {"region": "eu-central-1", "many": [1]}, "ds": {"meta_data": meta}}))
    (folder / "role").write_text("database")

    assert (before, host.problems()) == ({}, {})
    assert host.look(at_once=True)
    assert host.tags() == {"region": "eu-central-1", "role": "database"}


def test_what_cloud_init_left_is_not_believed_when_it_is_broken(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "instance-data.json"
    file.write_text("{" * 100)
    (folder / "site").write_text("berlin")

    host = HostTags(folder, CLOUD, file, writers)

    assert host.tags() == {"site": "berlin"}
    assert "instance-data.json" in host.problems()["tags"]


def test_a_value_that_is_too_long_gives_no_tag_instead_of_another_value(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "instance-data.json"
    file.write_text(json.dumps({"v1": {"region": "x" * 1025}}))
    (folder / "site").write_text("y" * 1025 + "\n")
    (folder / "team").write_text("z" * 1024 + "\n")

    host = HostTags(folder, CLOUD, file, writers)

    assert host.tags() == {"team": "z" * 1024}
    assert "site: its first line is longer" in host.problems()["tags"]
    assert "v1.region is longer" in host.problems()["tags"]
