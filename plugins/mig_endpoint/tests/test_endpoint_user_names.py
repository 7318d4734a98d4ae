"""Names of accounts, from files alone."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from mig_endpoint.user_names import UserNames, user_name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc", "var/lib/extrausers", "run/systemd/dynamic-uid", "run/userdb"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_bytes(
        b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\nb\xffb:x:7:7::/:\n+::::::\nbad:x:y:\n:x:9:\n"
    )
    (tmp_path / "var/lib/extrausers/passwd").write_text("eve:x:1000:1000::/home/eve:/bin/sh\n")
    (tmp_path / "run/systemd/dynamic-uid/direct:61184").symlink_to("service")
    (tmp_path / "run/userdb/61999.user").write_text(json.dumps({"userName": "record", "uid": 61999}))
    (tmp_path / "run/userdb/61998.user").write_text("[" * 100_000)
    return tmp_path


def test_every_file_of_the_endpoint_is_asked(root: Path) -> None:
    names = UserNames(str(root))

    found = [names.name(number) for number in (0, 7, 1000, 61184, 61999)]

    assert found == ["root", "b\udcffb", "eve", "service", "record"]


def test_a_number_without_a_name_stays_a_number(root: Path) -> None:
    names = UserNames(str(root))

    assert [names.name(number) for number in (9, 4242, 61998, 2**32)] == ["9", "4242", "61998", str(2**32)]


def test_what_only_a_name_service_could_tell_is_not_known(root: Path) -> None:
    (root / "etc/nsswitch.conf").write_text("passwd: files systemd sss\n")

    assert UserNames(str(root)).name(4242) is None
    assert UserNames(str(root)).name(0) == "root"


def test_a_system_without_files_has_numbers(tmp_path: Path) -> None:
    assert UserNames(str(tmp_path)).name(0) == "0"


def test_a_fifo_in_place_of_a_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "run/userdb/4242.user")
    os.mkfifo(root / "etc/nsswitch.conf")
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")

    assert UserNames(str(root)).name(4242) == "4242"


def test_here_root_is_root() -> None:
    assert user_name(0) == "root"
