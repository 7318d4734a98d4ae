"""Files made to harm, or to be overlooked: endless beginnings, parts missing, names that say nothing."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.ssh.blob import Found, NotAKey, string
from mig_endpoint.testing.containers import contained
from mig_sshkey import SshkeyModule, keyfile
from mig_sshkey.module import ELSEWHERE

if TYPE_CHECKING:
    import pathlib

    from mig_core.domain.result import ModuleResult

MODULE = SshkeyModule()
BLOB = base64.b64encode(string(b"ssh-ed25519") + string(bytes(32)))
KEY = b"ssh-ed25519 " + BLOB + b" ada"


def ask(**keys: Any) -> ModuleResult:
    return MODULE.run(MODULE.parse_parameters(keys), Context(deadline=time.monotonic() + 30))


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([tag, 0x83, length >> 16, length >> 8 & 0xFF, length & 0xFF]) + content


def armored(label: bytes, raw: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(raw), label)


DSA = bytes.fromhex("2a8648ce380401")


def pkcs8(algorithm: bytes, inner: bytes) -> bytes:
    return armored(b"PRIVATE KEY", der(0x30, der(2, b"\0") + der(0x30, algorithm) + der(4, inner)))


@pytest.mark.parametrize(
    "content",
    [
        pkcs8(b"", b""),
        pkcs8(der(6, DSA) + der(0x30, b""), der(2, b"\1")),
        pkcs8(der(6, DSA) + der(0x30, der(2, b"\7") + der(2, b"\5") + der(2, b"\3")), b""),
        armored(b"PUBLIC KEY", der(0x30, der(0x30, b"") + der(3, b"\0"))),
        armored(b"PUBLIC KEY", der(0x30, b"")),
    ],
)
def test_a_structure_with_parts_missing_is_damaged_and_breaks_nothing_off(content: bytes) -> None:
    assert [str(one) for one in keyfile.keys_in("key", content)] == ["damaged"]


def test_a_dsa_key_is_not_reckoned_with_numbers_that_take_minutes() -> None:
    huge = der(2, b"\x7f" * 500_000)
    numbers = der(2, b"\x7f" * 512) + der(2, b"\5") + der(2, b"\3")

    (found,) = keyfile.keys_in("key", pkcs8(der(6, DSA) + der(0x30, numbers), huge))
    (without,) = keyfile.keys_in("key", pkcs8(der(6, DSA) + der(0x30, der(2, b"\0") * 3), der(2, b"\1")))

    assert isinstance(found, Found)
    assert isinstance(without, Found)
    assert found.blob == without.blob == b""


@pytest.mark.parametrize(
    "mark",
    [b"-----BEGIN RSA PRIVATE KEY-----\n", b"---- BEGIN SSH2 PUBLIC KEY ----\n", b"-----BEGIN PUBLIC KEY-----\n"],
)
def test_a_file_of_beginnings_is_read_in_time_that_its_size_bounds(mark: bytes) -> None:
    content = mark * (keyfile.MAX_FILE // len(mark))

    found = list(keyfile.keys_in("notes", content))

    assert len(found) == content.count(mark)
    assert all(isinstance(one, NotAKey) for one in found)


def test_a_key_that_was_cut_off_is_said_and_a_mark_in_a_program_is_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cut").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n")
    (tmp_path / "program.py").write_bytes(b'MARK = "-----BEGIN OPENSSH PRIVATE KEY-----"\n')

    result = ask(paths=[str(tmp_path)])

    (skipped,) = result.coverage.skipped
    assert (skipped.reason, skipped.examples) == ("key or entry that could not be understood", (f"{tmp_path}/cut",))


def test_authorized_keys_are_found_whatever_their_file_is_called(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ada").write_bytes(b'# x\n\tcommand="a \\"b\\" c",no-pty ' + KEY + b"\nRestrict " + KEY + b"\n")
    (tmp_path / "hosts.old").write_bytes(b"example.net,192.0.2.1 " + KEY + b"\n")
    (tmp_path / "ssh.authorized_keys.root").write_bytes(KEY + b"\n")

    result = ask(paths=[str(tmp_path)])

    found = [(row["type"], row.get("options") or row.get("hosts")) for row in MODULE.rows(result)]
    assert sorted(found, key=str) == [
        ("authorizedkeys", "Restrict"),
        ("authorizedkeys", 'command="a \\"b\\" c",no-pty'),
        ("authorizedkeys", None),
        ("knownhosts", "example.net,192.0.2.1"),
    ]
    assert result.coverage.complete


def test_an_account_at_home_in_the_root_directory_has_keys_there(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("eve:x:0:0::/:/bin/sh\njoe:x:1:1::/devel/joe:/bin/sh\n")
    for place in (".ssh", "devel/joe/.ssh", "etc/credstore"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "ssh.authorized_keys.root").write_bytes(KEY)

    result = ask(root=str(tmp_path))

    assert sorted(str(row["path"]).removeprefix(f"{tmp_path}/").partition("/")[0] for row in MODULE.rows(result)) == [
        ".ssh",
        "devel",
        "etc",
    ]


def test_entries_without_end_are_bounded_and_the_rest_is_booked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_sshkey.module.MAX_KEYS", 10)
    (tmp_path / "authorized_keys").write_bytes((KEY + b"\n") * 30 + b"\n" * (1 << 20) + b'"' * (1 << 17))

    result = ask(paths=[str(tmp_path)])

    assert len(list(MODULE.rows(result))) == 10
    assert {one.reason: one.count for one in result.coverage.skipped} == {
        "key that an answer has no room for": 20,
        "key or entry that could not be understood": 1,
    }


def test_a_large_file_of_another_name_is_left_out_and_counted(tmp_path: pathlib.Path) -> None:
    (tmp_path / "image").write_bytes(bytes(keyfile.MAX_FILE + 1))

    coverage = ask(paths=[str(tmp_path)]).coverage

    assert coverage.complete
    assert coverage.skipped[0].count == 1


def test_a_containers_keys_are_found_and_its_network_mounts_not_waited_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("ada:x:1:1::/home/ada:/bin/sh\nbob:x:2:2::/home/bob:/bin/sh\n")
    (tmp_path / "home/ada").mkdir(parents=True)
    (tmp_path / "home/bob/.ssh").mkdir(parents=True)
    (tmp_path / "home/bob/.ssh/authorized_keys").write_bytes(KEY + b"\n")

    with contained(tmp_path, silent="/home/ada") as root:
        result = ask(root=root)

    assert [row["path"] for row in MODULE.rows(result)] == [f"{root}/home/bob/.ssh/authorized_keys"]
    assert ELSEWHERE.text in {one.reason for one in result.coverage.skipped}
    assert not result.coverage.complete
