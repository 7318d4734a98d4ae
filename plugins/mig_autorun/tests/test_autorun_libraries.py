"""Libraries that programs load because a file says so, read as the dynamic loader, PAM and NSS read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Root


def test_preloaded_libraries_are_parted_as_the_dynamic_loader_does(root: Root) -> None:
    root.write("/usr/lib/libshort.so")
    root.write("/lib/x86_64-linux-gnu/lib3.so")
    root.write(
        "/etc/ld.so.preload",
        b"/a.so:/b.so\t/c.so /d.so,/e.so # /no.so\n#/no.so\nlibshort.so#/no\n"
        b"/$LIB/lib3.so\n./cwd.so\n/cr.so\r\n/x.so\0/no.so\n",
    )

    rows = root.rows("ld-preload")

    assert [row["command"] for row in rows] == [
        "/a.so", "/b.so", "/c.so", "/d.so,/e.so", "libshort.so", "/$LIB/lib3.so", "./cwd.so", "/cr.so\r", "/x.so",
    ]  # fmt: skip
    assert [row["runs"] for row in rows[4:7]] == ["/usr/lib/libshort.so", "/lib/x86_64-linux-gnu/lib3.so", None]


def test_the_module_that_pam_loads_is_found_where_pam_looks(root: Root) -> None:
    root.write("/usr/lib/x86_64-linux-gnu/security/pam_unix.so")
    root.write("/usr/local/lib/security/pam_mine.so")
    root.write("/usr/lib/security/pam_plain.so")
    root.write("/tmp/m.so")
    root.write(
        "/etc/pam.d/login",
        "@include common\nAUTH Required pam_unix.so nullok\nauth sufficient ../../../tmp/m.so\n"
        "auth required $ISA/pam_plain.so\n-session optional pam_gone.so\n"
        "account [success=1 default=ignore] pam_mine.so\n"
        "auth include other\nauth optional pam_exec.so quiet expose_authtok /opt/steal \\\n  --now\n",
    )

    rows = root.rows("pam")

    assert [(row["line"], row["runs"], row["exists"]) for row in rows] == [
        (2, "/usr/lib/x86_64-linux-gnu/security/pam_unix.so", True),
        (3, "/tmp/m.so", True),
        (4, "/usr/lib/security/pam_plain.so", True),
        (5, "/usr/lib/x86_64-linux-gnu/security/pam_gone.so", False),
        (6, "/usr/lib/x86_64-linux-gnu/security/pam_mine.so", False),
        (8, "/usr/lib/x86_64-linux-gnu/security/pam_exec.so", False),
        (8, "/opt/steal", False),
    ]
    assert rows[3]["notes"] == ["may be missing"]


def test_files_that_pam_includes_from_elsewhere_are_read_too(root: Root) -> None:
    root.write("/etc/pam.d/a", "auth include ../../opt/b\n@include /opt/c\nauth substack common\n")
    root.write("/etc/pam.d/common", "auth required pam_d.so\n")
    root.write("/opt/b", "auth required /opt/b.so\nauth include /opt/b\n")
    root.write("/opt/c", "session optional /opt/c.so\n")

    rows = root.rows("pam")

    assert [(row["name"], row["path"], row["runs"]) for row in rows[:2]] == [
        ("a", "/opt/b", "/opt/b.so"),
        ("a", "/opt/c", "/opt/c.so"),
    ]
    assert len(rows) == 3


def test_a_service_of_pam_in_etc_replaces_the_one_in_usr_and_pam_conf_is_not_read_beside(root: Root) -> None:
    root.write("/etc/pam.d/x", "auth required pam_a.so\n")
    root.write("/usr/lib/pam.d/x", "auth required pam_b.so\n")
    root.write("/etc/pam.conf", "x auth required pam_c.so\n")

    rows = root.named("pam", by="command")

    assert {name: row["enabled"] for name, row in rows.items()} == {
        "pam_a.so": True,
        "pam_b.so": False,
        "pam_c.so": False,
    }


def test_services_of_nss_are_the_libraries_that_are_loaded(root: Root) -> None:
    root.write("/lib/x86_64-linux-gnu/libnss_evil.so.2")
    root.write("/etc/nsswitch.conf", "passwd: files evil [NOTFOUND=return]\nhosts: files dns evil\n")

    rows = root.rows("nss")

    assert [(row["name"], row["runs"], row["key"]) for row in rows] == [
        ("evil", "/lib/x86_64-linux-gnu/libnss_evil.so.2", "passwd hosts")
    ]
