"""Units are resolved as systemd does: aliases, drop-ins, masks, links, and what starts what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_autorun.systemd.unit_file import commands, settings

if TYPE_CHECKING:
    from .conftest import Root

ETC, RUN, LIB = "/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"
BOOT = f"{ETC}/multi-user.target.wants"


def service(command: str = "/bin/true", *, install: bool = True) -> str:
    wanted = "[Install]\nWantedBy=multi-user.target\n" if install else ""
    return f"[Service]\nExecStart={command}\n{wanted}"


@pytest.fixture
def booting(root: Root) -> Root:
    """A system whose default target pulls in what is wanted by multi-user.target."""
    root.write(f"{LIB}/multi-user.target", "[Unit]\nDescription=x\n")
    root.link(f"{LIB}/default.target", "multi-user.target")
    root.program("/bin/true")
    return root


def test_drop_ins_of_prefixes_aliases_and_the_type_are_in_force_in_the_order_of_their_names(booting: Root) -> None:
    booting.write(f"{LIB}/re-al.service", service())
    booting.link(f"{ETC}/al-ias.service", f"{LIB}/re-al.service")
    for number, folder in enumerate(
        ("service.d", "re-.service.d", "re-al.service.d", "al-.service.d", "al-ias.service.d")
    ):
        booting.write(f"{ETC}/{folder}/{number}.conf", f"[Service]\nExecStartPost=/opt/{number}\n")

    rows = booting.rows("systemd", name=[r"^re-al\.service$"])

    assert [row["runs"] for row in rows if row["key"] == "ExecStartPost"] == [f"/opt/{number}" for number in range(5)]
    assert [path.rpartition("/")[2] for path in rows[0]["sources"]] == [f"{number}.conf" for number in range(5)]


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (f"{RUN}/re-.service.d", f"{LIB}/re-al.service.d"),
        (f"{ETC}/re-.service.d", f"{RUN}/re-al.service.d"),
        (f"{ETC}/re-al.service.d", f"{ETC}/re-.service.d"),
        (f"{LIB}/re-al.service.d", f"{ETC}/service.d"),
    ],
)
def test_of_two_drop_ins_with_one_name_the_level_decides_then_the_own_folder_and_the_type_comes_last(
    booting: Root, winner: str, loser: str
) -> None:
    booting.write(f"{LIB}/re-al.service", service())
    booting.write(f"{winner}/50-x.conf", "[Service]\nExecStartPost=/opt/winner\n")
    booting.write(f"{loser}/50-x.conf", "[Service]\nExecStartPost=/opt/loser\n")

    rows = booting.rows("systemd", key=["ExecStartPost"])

    assert [row["runs"] for row in rows] == ["/opt/winner"]
    assert (rows[0]["path"], rows[0]["line"]) == (f"{winner}/50-x.conf", 2)
    assert rows[0]["sources"] == [f"{LIB}/re-al.service"]


def test_a_drop_in_that_leads_to_dev_null_masks_the_one_of_its_name(booting: Root) -> None:
    booting.write(f"{LIB}/re-al.service", service())
    booting.write(f"{LIB}/re-al.service.d/60-y.conf", "[Service]\nExecStartPost=/opt/dead\n")
    booting.link(f"{ETC}/re-al.service.d/60-y.conf", "/dev/null")

    assert booting.rows("systemd", key=["ExecStartPost"]) == []


def test_a_want_is_the_name_of_a_link_and_nothing_else(booting: Root) -> None:
    for name in ("foo", "bar", "dang", "masked"):
        booting.write(f"{LIB}/{name}.service", service(f"/opt/{name}", install=False))
    booting.write(f"{LIB}/reg2.service", service(install=False))
    booting.write(f"{LIB}/inst@.service", service("/opt/inst %i", install=False))
    booting.link(f"{BOOT}/foo.service", "../bar.service")
    booting.link(f"{BOOT}/ghost.service", "/opt/x/ghost.service")
    booting.write("/opt/x/ghost.service", service("/opt/ghost"))
    booting.write(f"{BOOT}/reg.service", service("/opt/reg"))
    booting.write(f"{BOOT}/reg2.service", service("/opt/reg"))
    booting.link(f"{BOOT}/dang.service", "/nowhere")
    booting.link(f"{BOOT}/inst@7.service", "../inst@.service")
    booting.link(f"{LIB}/multi-user.target.wants/masked.service", "../masked.service")
    booting.write(f"{BOOT}/masked.service")

    rows = booting.named("systemd", enabled=True)

    assert {name for name in rows if name.endswith(".service")} == {"foo.service", "dang.service", "inst@7.service"}
    assert rows["foo.service"]["runs"] == "/opt/foo"
    assert rows["inst@7.service"]["command"] == "/opt/inst %i"
    assert rows["foo.service"]["started_by"] == ["multi-user.target"]


def test_masks_are_empty_files_and_links_to_dev_null_wherever_the_first_of_the_name_lies(booting: Root) -> None:
    for name in "abcdf":
        booting.write(f"{LIB}/{name}.service", service())
        booting.link(f"{BOOT}/{name}.service", f"{LIB}/{name}.service")
    booting.write(f"{ETC}/a.service")
    booting.write(f"{ETC}/b.service", service("/opt/b"))
    booting.link(f"{RUN}/b.service", "/dev/null")
    booting.link(f"{ETC}/c.service", "../../../dev/null")
    booting.write("/opt/empty")
    booting.link(f"{ETC}/f.service", "/opt/empty")
    booting.link(f"{RUN}/d.service", "/dev/null")
    booting.write(f"{ETC}/e.service", "# nothing\n")
    booting.link(f"{BOOT}/e.service", "../e.service")

    rows = booting.named("systemd")

    states = {name[0]: (row["state"], row["enabled"]) for name, row in rows.items() if name.endswith(".service")}
    assert states == {
        "a": ("masked", False),
        "b": ("enabled", True),
        "c": ("masked", False),
        "d": ("masked-runtime", False),
        "e": ("enabled", False),
        "f": ("masked", False),
    }
    assert rows["e.service"]["notes"] == ["bad setting: never started"]


def test_a_file_of_an_instance_lives_though_its_template_is_masked(booting: Root) -> None:
    booting.link(f"{ETC}/t@.service", "/dev/null")
    booting.write(f"{LIB}/t@a.service", service("/opt/a"))
    booting.link(f"{BOOT}/t@a.service", f"{LIB}/t@a.service")
    booting.link(f"{BOOT}/t@b.service", f"{LIB}/t@.service")

    rows = booting.named("systemd")

    assert rows["t@a.service"]["enabled"]
    assert "t@b.service" not in rows


def test_a_timer_whose_unit_cannot_be_loaded_is_refused(booting: Root) -> None:
    booting.write(f"{LIB}/good.timer", "[Timer]\nOnCalendar=daily\nOnBootSec=5min\n[Install]\nWantedBy=timers.target\n")
    booting.write(f"{LIB}/good.service", service(install=False))
    booting.write(f"{LIB}/t.timer", "[Timer]\nOnCalendar=daily\n")
    booting.write(f"{LIB}/u.timer", "[Timer]\nOnCalendar=daily\nUnit=other.service\n")
    booting.write(f"{LIB}/other.service", service())
    booting.link(f"{ETC}/other.service", "/dev/null")
    for name in ("good", "t", "u"):
        booting.link(f"{BOOT}/{name}.timer", f"{LIB}/{name}.timer")

    rows = booting.named("systemd")

    assert [rows[f"{name}.timer"]["enabled"] for name in ("good", "t", "u")] == [True, False, False]
    assert rows["t.timer"]["notes"] == ["refused: t.service is not loaded"]
    assert rows["good.service"]["when"] == "OnCalendar=daily, OnBootSec=5min"
    assert rows["good.service"]["started_by"] == ["good.timer"]


def test_what_the_bus_a_device_or_a_failure_starts_is_in_force(booting: Root) -> None:
    for name in ("bus", "plugged", "failed", "idle"):
        booting.write(f"{LIB}/{name}.service", service(install=False))
    booting.write(f"{LIB}/main.service", "[Unit]\nOnFailure=failed.service\n" + service())
    booting.link(f"{BOOT}/main.service", f"{LIB}/main.service")
    booting.write(
        "/usr/share/dbus-1/system-services/a.b.service",
        "[D-BUS Service]\nName=a.b\nExec=/bin/false\nSystemdService=bus.service\n",
    )
    booting.write(
        "/etc/udev/rules.d/9-x.rules", 'ACTION=="add", TAG+="systemd", ENV{SYSTEMD_WANTS}+="plugged.service"\n'
    )

    rows = booting.named("systemd")

    assert rows["bus.service"]["started_by"] == ["D-Bus a.b"]
    assert rows["plugged.service"]["started_by"] == ["udev /etc/udev/rules.d/9-x.rules"]
    assert rows["failed.service"]["started_by"] == ["main.service"]
    assert not rows["idle.service"]["enabled"]


def test_the_command_of_a_transient_timer_is_told_with_its_service(booting: Root) -> None:
    booting.write("/run/systemd/transient/run-u1.timer", "[Timer]\nOnActiveSec=1h\n")
    booting.write("/run/systemd/transient/run-u1.service", '[Service]\nExecStart=\nExecStart="touch" "/x"\n')

    rows = booting.named("systemd")

    assert rows["run-u1.service"]["runs"] == "touch"
    assert {row["state"] for name, row in rows.items() if name.startswith("run-u1")} == {"transient"}


def test_code_that_gets_into_a_service_by_its_environment_is_a_row_of_its_own(booting: Root) -> None:
    booting.write(
        f"{LIB}/x.service",
        "[Service]\nExecStart=/bin/true\n"
        'Environment=A=1 "LD_PRELOAD=/opt/x.so /opt/y.so"\nEnvironmentFile=-/etc/default/*\n',
    )
    booting.write("/etc/default/x", "OPTIONS=-v\nLD_LIBRARY_PATH=/opt/lib\n")

    rows = booting.rows("environment", name=[r"^x\.service$"])

    assert [(row["key"], row["command"], row["line"]) for row in rows] == [
        ("Environment", "LD_PRELOAD=/opt/x.so /opt/y.so", 3),
        ("EnvironmentFile", "LD_LIBRARY_PATH=/opt/lib", 2),
    ]
    assert rows[0]["runs"] == "/opt/x.so"


def test_units_of_a_user_run_as_that_user_and_those_of_all_users_as_each(root: Root) -> None:
    root.write("/usr/lib/systemd/user/default.target", "[Unit]\nDescription=x\n")
    root.write("/usr/lib/systemd/user/all.service", service("/opt/all"))
    root.write("/home/bob/.config/systemd/user/evil.service", service("%h/.local/evil"))
    root.link("/home/bob/.config/systemd/user/default.target.wants/evil.service", "../evil.service")
    root.write("/home/bob/.config/systemd/user/all.service.d/x.conf", "[Service]\nExecStartPost=/opt/mine\n")

    root.write("/var/lib/systemd/linger/bob")

    rows = root.rows("systemd-user")

    assert all(
        ("from boot on: the user lingers" in row.get("notes", ())) == (row.get("user") == "bob")
        for row in rows
        if row["name"] == "evil.service"
    )
    told = {(row["name"], row.get("runs"), row["user"], row["enabled"]) for row in rows if "runs" in row}
    assert told == {
        ("all.service", "/opt/all", "each user", False),
        ("all.service", "/opt/all", "bob", False),
        ("all.service", "/opt/mine", "bob", False),
        ("evil.service", "/home/bob/.local/evil", "bob", True),
    }


def test_users_and_roots_of_services_are_theirs(booting: Root) -> None:
    booting.write(
        f"{LIB}/a.service", "[Service]\nUser=bob\nExecStartPre=+/opt/a\nExecStart=/opt/b\nRootDirectory=/srv/r\n"
    )
    booting.write(f"{LIB}/d.service", "[Service]\nDynamicUser=yes\nExecStart=/opt/b\n")
    booting.write(f"{LIB}/n.service", "[Service]\nUser=1000\nExecStart=/opt/b\n")
    booting.write(f"{LIB}/i.service", "[Service]\nRootImage=/srv/i.raw\nExecStart=/opt/b\n")
    booting.program("/srv/r/opt/b")

    rows = booting.rows("systemd")

    told = {(row["name"], row.get("runs"), row.get("exists"), row.get("user")) for row in rows}
    assert told >= {
        ("a.service", "/srv/r/opt/a", False, "root"),
        ("a.service", "/srv/r/opt/b", True, "bob"),
        ("d.service", "/opt/b", False, "dynamic"),
        ("n.service", "/opt/b", False, "bob"),
        ("i.service", None, None, "root"),
    }


def test_generators_are_executable_files_that_nothing_before_them_masks(root: Root) -> None:
    folder = "systemd/system-generators"
    root.program(f"/usr/lib/{folder}/plain")
    root.program(f"/usr/lib/{folder}/with blank")
    root.program(f"/usr/lib/{folder}/.hidden")
    root.program(f"/usr/lib/{folder}/old.dpkg-new")
    root.program(f"/usr/lib/{folder}/null")
    root.link(f"/etc/{folder}/null", "/dev/null")
    root.program(f"/usr/lib/{folder}/live")
    root.write(f"/etc/{folder}/live", "not executable")
    root.program(f"/etc/{folder}/both")
    root.program(f"/run/{folder}/both")

    rows = root.rows("systemd-generator")

    assert {row["path"] for row in rows if row["enabled"]} == {
        f"/usr/lib/{folder}/plain",
        f"/usr/lib/{folder}/with blank",
        f"/usr/lib/{folder}/live",
        f"/run/{folder}/both",
    }


def test_credentials_that_act_at_a_boot_are_told(root: Root) -> None:
    for name in ("ssh.authorized_keys.root", "tmpfiles.extra", "fstab.extra", "udev.rules.x"):
        root.write(f"/etc/credstore/{name}", "x")

    assert set(root.named("systemd-credential")) == {"ssh.authorized_keys.root", "tmpfiles.extra", "udev.rules.x"}


def test_an_extension_without_its_release_file_is_not_merged(root: Root) -> None:
    root.write("/var/lib/extensions/good/usr/lib/extension-release.d/extension-release.good", "ID=_any\n")
    root.write("/var/lib/extensions/bad/usr/lib/extension-release.d/extension-release.other", "ID=_any\n")

    root.write("/usr/lib/extensions/vendor/usr/lib/extension-release.d/extension-release.vendor", "ID=_any\n")
    root.write("/var/lib/extensions/twice/usr/lib/extension-release.d/extension-release.twice", "ID=_any\n")
    root.link("/run/extensions/twice", "/var/lib/extensions/good")

    rows = root.named("extension", by="path")

    assert {path: row["enabled"] for path, row in rows.items()} == {
        "/var/lib/extensions/good": True,
        "/var/lib/extensions/bad": False,
        "/var/lib/extensions/twice": False,
        "/run/extensions/twice": False,
    }


def test_words_of_commands_are_unquoted_and_prefixes_kept_apart() -> None:
    found = commands(r'@-/bin/sh sh -c "echo \"x\"" ; +/bin/b \; c')

    assert [(one.prefix, one.words) for one in found] == [
        ("@-", ("/bin/sh", "-c", 'echo "x"')),
        ("+", ("/bin/b", ";", "c")),
    ]


def test_settings_end_where_a_backslash_does_not_go_on_and_comments_between_are_left_out() -> None:
    found = list(settings("[Service]\nExecStart=/a \\\n# no\n  b\nX=1\n; no\n", "/p"))

    assert [(one.key, one.value, one.line) for one in found] == [("ExecStart", "/a  b", 2), ("X", "1", 5)]


def test_the_rest_of_a_setting_that_is_longer_than_is_read_is_booked(root: Root) -> None:
    root.write("/etc/systemd/system/x.service", f"[Service]\nExecStart=/opt/a {'x ' * 40_000}; /opt/b\n")

    result = root.ask()

    assert {one.reason: one.examples for one in result.coverage.skipped}["rest of a setting of more than 64 KiB"] == (
        "/etc/systemd/system/x.service",
    )
    assert not result.coverage.complete
