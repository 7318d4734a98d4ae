"""Each form of file is read as the program that reads it does: what was seen of udev, D-Bus, git and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Root


DISPATCHED = {"x", "x.conf", "x.sh", "X_1", "x.conf.disabled", "x.conf.dpkg-old"}


def test_rules_of_udev_tell_programs_and_what_clears_them(root: Root) -> None:
    root.program("/usr/lib/udev/helper")
    root.write(
        "/etc/udev/rules.d/10-x.rules",
        'ACTION=="add", SUBSYSTEM=="usb", RUN+="helper --now", PROGRAM="/bin/p %k"\n'
        'KERNEL=="sd*", IMPORT{program}=="/bin/i", RUN=""\nRUN{builtin}+="kmod load x", RUN+="$env{X}/y"\n',
    )
    root.write("/usr/lib/udev/rules.d/10-x.rules", 'RUN+="/opt/replaced"\n')
    root.write("/usr/lib/udev/rules.d/20-y.rules", 'RUN+="/opt/emptied"\n')
    root.write("/run/udev/rules.d/20-y.rules")
    root.write("/etc/udev/rules.d/30.rules.bak", 'RUN+="/opt/backup"\n')

    live = [row for row in root.rows("udev") if row["enabled"]]

    assert [(row["key"], row.get("runs", "-")) for row in live] == [
        ("RUN+=", "/usr/lib/udev/helper"),
        ("PROGRAM", "/bin/p"),
        ("IMPORT", "/bin/i"),
        ("RUN=", "-"),
        ("RUN+=", None),
    ]
    assert live[0]["when"] == "ACTION==add, SUBSYSTEM==usb"


def test_services_of_the_buses_are_activated_where_the_bus_finds_them(root: Root) -> None:
    def text(name: str, more: str = "") -> str:
        return f"[D-BUS Service]\nName={name}\nExec=/bin/{name}\n{more}"

    system, session = "dbus-1/system-services", "dbus-1/services"
    root.write(f"/usr/share/{system}/a.service", text("a", "User=daemon\n"))
    root.write(f"/usr/share/{system}/zzz.service", text("b"))
    root.write(f"/usr/share/{system}/yyy.service", text("c", "SystemdService=c.service\n"))
    root.write(f"/etc/{system}/d.service", text("d"))
    root.write(f"/usr/share/{session}/e.service", text("e"))
    root.write(f"/usr/local/share/{session}/e.service", text("e2"))
    root.write(f"/usr/share/{session}/www.service", text("f"))
    root.write(f"/run/user/1000/{session}/vvv.service", text("g"))
    root.write(f"/home/bob/.local/share/{session}/e.service", text("h"))

    rows = root.named("dbus")

    assert {name: row["enabled"] for name, row in rows.items()} == {
        "a": True, "b": False, "c": True, "d": False, "e": False, "e2": True, "f": True, "g": False, "h": True,
    }  # fmt: skip
    assert (rows["a"]["user"], rows["h"]["user"], rows["g"]["user"]) == ("daemon", "bob", "bob")


def test_desktop_files_start_as_systemds_generator_has_them(root: Root) -> None:
    root.program("/bin/p")
    base = "[Desktop Entry]\nType=Application\nExec=/bin/p %f\n"
    for name, content in {
        "plain": base,
        "hidden": base + "Hidden=true\n",
        "gnome": base + "X-GNOME-Autostart-enabled=false\n",
        "only": base + "OnlyShowIn=GNOME;\n",
        "try": base + "TryExec=/nonexistent\n",
        "untyped": base.replace("Type=Application\n", ""),
        "skip": base + "X-systemd-skip=true\n",
        "condition": base + "AutostartCondition=if-exists x\n",
        "blank é": base,
        "gone": base.replace("/bin/p", "/bin/gone"),
    }.items():
        root.write(f"/home/bob/.config/autostart/{name}.desktop", content)

    rows = root.named("xdg-autostart")

    assert {name.removesuffix(".desktop") for name, row in rows.items() if row["enabled"]} == {
        "plain", "gnome", "only", "condition", "blank é",
    }  # fmt: skip
    assert rows["only.desktop"]["notes"] == ["OnlyShowIn=GNOME;"]


def test_a_desktop_file_in_a_home_stands_for_that_of_the_system_also_an_empty_one(root: Root) -> None:
    root.program("/bin/p")
    base = "[Desktop Entry]\nType=Application\nExec=/bin/p\n"
    for name in ("replaced", "emptied", "null"):
        root.write(f"/etc/xdg/autostart/{name}.desktop", base)
    root.write("/home/bob/.config/autostart/replaced.desktop", base + "Hidden=true\n")
    root.write("/home/bob/.config/autostart/emptied.desktop")
    root.link("/home/bob/.config/autostart/null.desktop", "/dev/null")

    rows = [row for row in root.rows("xdg-autostart") if row["path"].startswith("/etc/")]

    notes = {row["name"].partition(".")[0]: row.get("notes") for row in rows}
    assert notes == {"replaced": ["replaced in /home/bob"], "emptied": ["replaced in /home/bob"], "null": None}


def test_python_runs_import_lines_and_the_first_sitecustomize(root: Root) -> None:
    packages = "/usr/local/lib/python3.13/dist-packages"
    root.write("/usr/lib/python3.13/sitecustomize.py")
    root.write(f"{packages}/sitecustomize.py")
    root.write(f"{packages}/a.pth", "/opt/path\nimport evil\nimport\tos\nimporting\n# import no\n")
    root.write(f"{packages}/.b.pth", "import hidden\n")
    root.write("/usr/lib/python3/dist-packages/ordinary.py")
    root.write("/home/bob/.local/lib/python3.11/site-packages/.c.pth", "import hidden\n")
    root.write("/home/bob/.local/lib/python3.11/site-packages/usercustomize/__init__.py")
    root.write("/home/bob/.local/lib/python3.11/site-packages/bom.pth", "\ufeffimport x\n")
    root.write(f"{packages}/bom.pth", "\ufeffimport x\n")

    rows = root.rows("python")

    live = {(row["path"].rpartition("/")[2], row["key"], row.get("line")) for row in rows if row["enabled"]}
    assert live == {
        ("sitecustomize.py", "sitecustomize", None),
        ("a.pth", "path", 1),
        ("a.pth", "import", 2),
        ("a.pth", "import", 3),
        ("a.pth", "path", 4),
        (".c.pth", "import", 1),
        ("usercustomize", "usercustomize", None),
        ("bom.pth", "import", 1),
    }
    dead = {row["path"]: row["state"] for row in rows if not row["enabled"]}
    assert dead[f"{packages}/sitecustomize.py"] == "/usr/lib/python3.13/sitecustomize.py is found first"
    assert f"{packages}/.b.pth" in dead


def test_settings_of_git_that_run_something_are_told(root: Root) -> None:
    root.write(
        "/home/bob/.gitconfig",
        "[core]\n\tfsmonitor = /opt/watch\n\tpager = less\n\tautocrlf = true\n[alias]\n\tst = status\n\tx = !/opt/x y\n"
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n'
        '[core] sshCommand = "ssh -i k"\n[credential]\n\thelper = store\n'
        "[include]\n\tpath = ~/.more\n[core]\n\tfsmonitor = false\n",
    )
    root.write("/home/bob/repo/.git/config", "[diff]\n\texternal = /opt/d\n")
    root.program("/home/bob/repo/.git/hooks/pre-commit")
    root.program("/home/bob/repo/.git/hooks/pre-push.sample")

    rows = root.rows("git")

    assert [(row["name"], row.get("runs")) for row in rows] == [
        ("core.fsmonitor", "/opt/watch"),
        ("core.pager", "less"),
        ("alias.st", None),
        ("alias.x", "/opt/x"),
        ("filter.lfs.clean", "git-lfs"),
        ("core.sshCommand", "ssh"),
        ("credential.helper", "git-credential-store"),
        ("include.path", None),
        ("diff.external", "/opt/d"),
        ("pre-commit", "/home/bob/repo/.git/hooks/pre-commit"),
    ]
    assert {row["user"] for row in rows} == {"bob"}


def test_hooks_of_package_managers_are_told_with_their_commands(root: Root) -> None:
    root.write(
        "/etc/apt/apt.conf.d/99x",
        '// DPkg::Pre-Invoke {"/no";};\nDPkg::Post-Invoke {"/opt/a \\"x\\""; "/opt/b";};\n'
        'APT { Update { Pre-Invoke { "/opt/c"; } } };\n'
        'Acquire::http::Proxy "http://p"; /* DPkg::Pre-Invoke {"/no";}; */\n'
        'APT::Update::Post-Invoke-Success:: "/opt/d";\n',
    )
    root.write("/etc/apt/apt.conf.d/x.sh", 'DPkg::Pre-Invoke {"/no";};\n')
    root.write("/etc/dpkg/dpkg.cfg.d/x", "post-invoke=/opt/e\nno-debsig\n")
    root.write("/usr/share/libalpm/hooks/x.hook", "[Action]\nWhen = PostTransaction\nExec = /opt/f\n")
    root.program("/etc/apk/commit_hooks.d/x")
    root.write("/var/lib/dpkg/info/evil.postinst", "#!/bin/sh\n", 0o755)

    rows = root.rows("package-(hook|script)")

    assert [row["runs"] for row in rows] == [
        "/opt/a", "/opt/b", "/opt/c", "/opt/d", "/opt/e", "/var/lib/dpkg/info/evil.postinst", "/opt/f",
        "/etc/apk/commit_hooks.d/x",
    ]  # fmt: skip


def test_sources_of_packages_tell_what_is_not_verified_and_what_is_off(root: Root) -> None:
    root.write("/etc/apt/sources.list", "deb [trusted=yes arch=amd64] http://a/ stable main\n# deb http://no/ x y\n")
    root.write(
        "/etc/apt/sources.list.d/b.sources",
        "Types: deb\nURIs: https://b/\n https://b2/\nSuites: x\n\n"
        "Enabled: no\nTypes: deb\nURIs: https://c/\nSuites: x\n",
    )
    root.write(
        "/etc/yum.repos.d/x.repo", "[one]\nbaseurl=http://d/\ngpgcheck=0\n[two]\nmetalink=https://e/\nenabled=0\n"
    )
    root.write("/etc/apk/repositories", "https://u:secret@f/alpine\n")

    rows = root.rows("(apt|yum|package)-source")

    assert [(row["name"], row["enabled"], row.get("notes")) for row in rows] == [
        ("http://a/", True, ["not verified: trusted=yes", "not encrypted"]),
        ("https://b/", True, None),
        ("https://b2/", True, None),
        ("https://c/", False, None),
        ("one", True, ["not verified: gpgcheck=0", "not encrypted"]),
        ("two", False, None),
        ("repositories", True, None),
    ]
    assert rows[-1]["command"] == "https://…@f/alpine"


@pytest.mark.parametrize(
    ("kind", "path", "content", "expected"),
    [
        ("binfmt", "/etc/binfmt.d/x.conf", ":x:M::\\x7fELF::/opt/i:OCF\n# no\n", ["/opt/i"]),
        ("modprobe", "/etc/modprobe.d/x.conf", "install u /opt/m; /sbin/mod u\n", ["/opt/m", "/sbin/mod"]),
        ("module-load", "/etc/modules-load.d/x.conf", "evil_mod\n; no\n", [None]),
        ("logrotate", "/etc/logrotate.d/.x.conf", "/var/log/x {\n postrotate\n  /opt/l\n endscript\n}\n", ["/opt/l"]),
        ("logging", "/etc/rsyslog.d/x.conf", '*.* ^/opt/r;T\nx(type="omprog" binary="/opt/s")\n', ["/opt/r", "/opt/s"]),
        ("kernel-helper", "/etc/sysctl.d/x.conf", "kernel.core_pattern=|/opt/core %p\nnet.x=1\n", ["/opt/core"]),
        ("network-hook", "/etc/network/interfaces", "iface eth0 inet dhcp\n post-up /opt/n || true\n", ["/opt/n"]),
        ("init", "/etc/inittab", "x:2345:respawn:/opt/t arg\nid:3:initdefault:\n", ["/opt/t"]),
        ("inetd", "/etc/inetd.conf", "x stream tcp nowait root /opt/u u -v\n", ["/opt/u"]),
        ("ssh", "/etc/ssh/sshd_config.d/x.conf", "ForceCommand /opt/v\nSubsystem\ts\t/opt/w\n", ["/opt/v", "/opt/w"]),
        ("environment", "/etc/environment", "LANG=C\nLD_PRELOAD=/opt/e.so\n", ["/opt/e.so"]),
        ("boot", "/etc/default/grub", 'GRUB_CMDLINE_LINUX="quiet init=/opt/init"\n', ["/opt/init"]),
        ("tmpfiles", "/etc/tmpfiles.d/x.conf", "d /run/x 0755\nf+ /srv/git/.ssh/k 0600 - - - ssh-rsa\n", [None]),
        ("container", "/etc/docker/daemon.json", '{"runtimes": {"r": {"path": "/opt/runc"}}}', ["/opt/runc"]),
        ("network-hook", "/etc/wireguard/w.conf", "[Interface]\nPostUp = /opt/p %i; /opt/q\n", ["/opt/p", "/opt/q"]),
        ("network-hook", "/etc/openvpn/client/o.conf", '; up /no\nup "/opt/u x"\n', ["/opt/u"]),
        ("hardware-hook", "/etc/acpi/events/lid", "event=button/lid.*\naction=/opt/lid %e\n", ["/opt/lid"]),
        ("hardware-hook", "/etc/mdadm/mdadm.conf", "MAILADDR root\nPROGRAM /opt/md\n", ["/opt/md"]),
        ("hardware-hook", "/etc/smartd.conf", "DEVICESCAN -m root -M exec /opt/smart\n", ["/opt/smart"]),
        ("sudo", "/etc/sudo.conf", "Plugin p /opt/e.so x\n#Plugin a b\nPath sesh /opt/s\n", ["/opt/e.so", "/opt/s"]),
        ("cron", "/etc/incron.d/x", "/etc/shadow IN_MODIFY /opt/seen $@\n", ["/opt/seen"]),
        ("cron", "/var/spool/incron/bob", "/home/a\\ b IN_CREATE,IN_MOVED_TO /opt/own\n", ["/opt/own"]),
        ("mount", "/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n", [None]),
    ],
)  # fmt: skip
def test_a_file_of_its_form_names_what_is_run(
    root: Root, kind: str, path: str, content: str, expected: list[str | None]
) -> None:
    root.write(path, content)

    assert [row.get("runs") for row in root.rows(kind)] == expected


@pytest.mark.parametrize(
    ("path", "content", "included", "expected"),
    [
        ("/etc/ld.so.conf", "include /opt/*.conf\n", "/opt/libs\n", "/opt/libs"),
        ("/etc/ssh/sshd_config", "Include=/opt/x.conf\n", "ForceCommand /opt/y\n", "/opt/y"),
        ("/home/bob/.ssh/config", "Include ../../../opt/x.conf\n", "ProxyCommand /opt/y %h\n", "/opt/y"),
        ("/etc/logrotate.conf", "include /opt\n", "postrotate\n/opt/y\nendscript\n", "/opt/y"),
        ("/etc/network/interfaces", "source /opt/*\n", "iface x inet dhcp\nup /opt/y\n", "/opt/y"),
        ("/etc/rsyslog.conf", "$IncludeConfig /opt/*.conf\n", "*.* ^/opt/y\n", "/opt/y"),
        ("/etc/apt/apt.conf", '#include "/opt/x.conf";\n', 'DPkg::Pre-Invoke {"/opt/y";};\n', "/opt/y"),
        ("/home/bob/.gitconfig", "[include]\npath = ~/more\n", "[core]\npager = /opt/y\n", "/opt/y"),
        ("/etc/supervisord.conf", "[include]\nfiles = ../opt/*\n", "[program:x]\ncommand=/opt/y\n", "/opt/y"),
    ],
)
def test_what_a_file_includes_from_elsewhere_is_in_force_too(
    root: Root, path: str, content: str, included: str, expected: str
) -> None:
    root.write(path, content)
    root.write("/home/bob/more" if "~" in content else "/opt/x.conf", f"{included}")

    assert expected in [row.get("runs") for row in root.rows() if row["enabled"]]


def test_init_scripts_start_by_their_links_unless_systemd_has_a_unit(root: Root) -> None:
    for name in ("linked", "idle", "unit"):
        root.program(f"/etc/init.d/{name}")
    root.link("/etc/rc2.d/S01linked", "../init.d/linked")
    root.link("/etc/rc2.d/S01unit", "../init.d/unit")
    root.program("/opt/evil")
    root.link("/etc/rc3.d/S99evil", "/opt/evil")
    root.program("/usr/lib/systemd/systemd")
    root.write("/usr/lib/systemd/system/unit.service", "[Service]\nExecStart=/bin/u\n")

    rows = root.named("init")

    assert {name: (row["enabled"], row.get("when")) for name, row in rows.items()} == {
        "linked": (True, "runlevel 2"),
        "idle": (False, None),
        "unit": (False, "runlevel 2"),
        "S99evil": (True, "runlevel 3"),
    }


def test_a_container_restarts_by_its_policy(root: Root) -> None:
    folder = "/var/lib/docker/containers"
    for number, policy in (("a1", "always"), ("b2", "no")):
        root.write(
            f"{folder}/{number}/config.v2.json",
            f'{{"Name": "/{number}", "Path": "sh", "Args": ["-c", "x"], "Config": {{"Image": "i"}}}}',
        )
        root.write(
            f"{folder}/{number}/hostconfig.json", f'{{"RestartPolicy": {{"Name": "{policy}"}}, "Privileged": true}}'
        )
    root.write(f"{folder}/c3/config.v2.json", '{"Name": "/c3"}')
    root.write(f"{folder}/d4/config.v2.json", "{")

    result = root.ask(kind=["^container$"])
    rows = root.named("container")

    assert {name: row["enabled"] for name, row in rows.items()} == {"a1": True, "b2": False, "c3": None}
    assert rows["a1"]["command"] == "sh -c x"
    assert rows["a1"]["notes"] == ["image i", "privileged"]
    assert not result.coverage.complete


@pytest.mark.parametrize(
    ("place", "kind", "live"),
    [
        ("/etc/update-motd.d", "motd", {"x"}),
        ("/etc/profile.d", "shell", {"x.sh"}),
        ("/etc/network/if-up.d", "network-hook", {"x", "X_1"}),
        ("/etc/NetworkManager/dispatcher.d", "network-hook", DISPATCHED),
        ("/etc/kernel/postinst.d", "kernel-hook", {"x", "X_1"}),
    ],
)  # fmt: skip
def test_scripts_of_a_folder_run_if_their_names_are_in_force(root: Root, place: str, kind: str, live: set[str]) -> None:
    names = ("x", "x.conf", "x.conf~", ".x.conf", "x.conf.bak", "x.conf.disabled", "x.sh", "x.conf.dpkg-old", "X_1")
    for name in names:
        root.program(f"{place}/{name}")

    result = root.ask(kind=[f"^{kind}$"])

    assert set(root.named(kind)) == live
    assert result.coverage.complete


def test_a_table_of_incron_below_the_spool_is_its_user_s(root: Root) -> None:
    root.write("/etc/incron.d/x", "/a IN_MODIFY /opt/a\n")
    root.write("/var/spool/incron/bob", "/b IN_MODIFY /opt/b\n")

    found = root.named("cron", by="runs")

    assert {run: (row["user"], row["when"]) for run, row in found.items()} == {
        "/opt/a": ("root", "IN_MODIFY of /a"),
        "/opt/b": ("bob", "IN_MODIFY of /b"),
    }


def test_a_library_of_sudo_is_looked_for_where_sudo_does(root: Root) -> None:
    root.write("/etc/sudo.conf", "Plugin sudoers_policy sudoers.so\n")
    root.write("/usr/lib/sudo/sudoers.so")

    (row,) = root.rows("sudo")

    assert (row["runs"], row["exists"]) == ("/usr/lib/sudo/sudoers.so", True)
