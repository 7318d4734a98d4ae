"""opkg, snap and flatpak."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_pkg.flatpak import deployed_version

if TYPE_CHECKING:
    import pathlib


def deploy(version: str) -> bytes:
    """The dictionary of a ``deploy`` file, as flatpak 1.14 writes it."""

    def padded(raw: bytes) -> bytes:
        return raw + bytes(-len(raw) % 8)

    entry = padded(b"appdata-version\0") + version.encode() + b"\0\0s" + struct.pack("<B", 16)
    return padded(b"local\0" + b"f" * 64 + b"\0") + padded(b"appdata-name\0") + padded(b"Hello\0\0s\r") + entry


def test_opkg_s_packages_are_read_with_its_own_states(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(
        "/usr/lib/opkg/status",
        "Package: busybox\nVersion: 1.36.1-r1\nDepends: libc\nStatus: install ok installed\nEssential: yes\n"
        "Architecture: mips_24kc\nInstalled-Time: 1700000000\n\n"
        "Package: gone\nVersion: 1\nStatus: deinstall ok not-installed\nArchitecture: all\n\n"
        "Package: kept\nVersion: 2-1\nStatus: install hold,user installed\nArchitecture: all\n\n",
    )

    said = ask(".", root=str(tmp_path))

    assert [list(row.values()) for row in said.rows] == [
        ["busybox", "1.36.1-r1", "opkg", "mips_24kc", "installed"],
        ["kept", "2-1", "opkg", "all", "installed"],
    ]
    assert said.complete
    assert ask(".", version="<1.36.1-r2", root=str(tmp_path)).names == ["busybox"]


def test_each_revision_of_a_snap_is_in_the_answer_and_those_not_in_use_say_so(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    for revision, version in (("4", "131.0-1"), ("5", "132.0-2")):
        write(f"/var/lib/snapd/snaps/firefox_{revision}.snap", "")
        meta = f"name: firefox\nversion: '{version}'\narchitectures:\n- amd64\n"
        write(f"/snap/firefox/{revision}/meta/snap.yaml", meta)
    (tmp_path / "snap/firefox/current").symlink_to("5")

    said = ask("^firefox$", root=str(tmp_path))

    assert [(row["version"], row["arch"], row.get("state")) for row in said.rows] == [
        ("131.0-1", "amd64", "disabled"),
        ("132.0-2", "amd64", None),
    ]
    assert said.complete


def test_a_snap_that_is_not_mounted_is_found_and_its_missing_version_said(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/var/lib/snapd/snaps/hello_x1.snap", "")

    said = ask("^hello$", root=str(tmp_path))

    assert [(row["name"], row["version"]) for row in said.rows] == [("hello", "")]
    assert said.reasons == {"package database unreadable": 1}


def test_flatpak_s_applications_have_the_version_it_shows_and_runtimes_their_branch(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    app = "app/org.example.Hello/x86_64/stable"
    write(f"/var/lib/flatpak/{app}/abc/deploy", deploy("1.9.3"))
    (tmp_path / f"var/lib/flatpak/{app}/active").symlink_to("abc")
    (tmp_path / "var/lib/flatpak/app/org.example.Hello/current").symlink_to("x86_64/stable")
    write("/home/ada/.local/share/flatpak/runtime/org.example.Platform/x86_64/23.08/active/deploy", b"x" * 80)
    write("/etc/passwd", "eve:x:7:7::/srv/eve:/bin/sh\n")
    write("/srv/eve/.local/share/flatpak/app/org.example.Own/x86_64/stable/active/deploy", deploy("3"))
    write("/etc/flatpak/installations.d/extra.conf", '[Installation "extra"]\nPath=/srv/flatpak\n')
    write("/srv/flatpak/app/org.example.Extra/x86_64/stable/active/deploy", deploy("7"))

    said = ask(".", root=str(tmp_path))

    assert [(row["name"], row["version"], row["arch"]) for row in said.rows] == [
        ("org.example.Hello", "1.9.3", "x86_64"),
        ("org.example.Platform", "23.08", "x86_64"),
        ("org.example.Own", "3", "x86_64"),
        ("org.example.Extra", "7", "x86_64"),
    ]
    assert said.complete


def test_what_is_no_deploy_file_has_no_version() -> None:
    for raw in (b"", b"appdata-version", b"appdata-version\0", b"x" + b"appdata-version\0" + b"1\0\0s"):
        assert deployed_version(raw) == ""


def test_the_packages_of_a_chiselled_image_are_read(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    zstd = shutil.which("zstd")
    if zstd is None or (sys.version_info < (3, 14) and importlib.util.find_spec("backports.zstd") is None):
        pytest.skip("zstd, the program or Python's, is not installed")
    wall = (
        '{"jsonwall":"1.0","schema":"1.0","count":4}\n'
        '{"kind":"package","name":"libc6","version":"2.39-0ubuntu8.4","sha256":"ab","arch":"amd64"}\n'
        '{"kind":"path","path":"/etc/ssl/openssl.cnf","mode":"0644","slices":["openssl_config"]}\n'
        '{"kind":"package","name":"openssl","version":"3.0.13-0ubuntu3.4","sha256":"cd","arch":"amd64"}\n'
    )
    write(
        "/var/lib/chisel/manifest.wall",
        subprocess.run([zstd, "-qc"], input=wall.encode(), stdout=-1, check=True).stdout,
    )

    said = ask(".", version="<3.1", root=str(tmp_path))

    assert [list(row.values()) for row in said.rows] == [
        ["libc6", "2.39-0ubuntu8.4", "chisel", "amd64"],
        ["openssl", "3.0.13-0ubuntu3.4", "chisel", "amd64"],
    ]
    assert said.complete


@pytest.mark.parametrize("raw", [b"", b"no manifest", b"\x28\xb5\x2f\xfd damaged"])
def test_a_manifest_that_cannot_be_read_is_not_a_clean_image(
    raw: bytes, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/var/lib/chisel/manifest.wall", raw)

    said = ask(".", root=str(tmp_path))

    assert said.reasons["package database unreadable"] == 1
    assert not said.complete
