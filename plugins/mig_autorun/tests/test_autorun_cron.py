"""Which cron lines and queued jobs are run, by the daemon that the system has: what each was seen to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_autorun.cron import Flavour, jobs

if TYPE_CHECKING:
    from .conftest import Root

JOB = "* * * * * root /opt/job\n"
NAMES = ("plain", "a.conf", ".hidden", "b~", "c.dpkg-new", "UP_under-9", "sp ace", "d.rpmsave", "e.cron", "#f#")
DAEMONS = {
    "debian": "/usr/sbin/cron",
    "cronie": "/usr/sbin/crond",
    "systemd-cron": "/usr/lib/systemd/system-generators/systemd-crontab-generator",
}


def install(root: Root, daemon: str) -> None:
    if daemon == "busybox":
        root.program("/bin/busybox")
        root.link("/usr/sbin/crond", "/bin/busybox")
    elif daemon:
        root.program(DAEMONS[daemon])


def live(root: Root, by: str = "path") -> set[str]:
    return {str(row[by]).rpartition("/")[2] for row in root.rows("cron") if row["enabled"]}


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        ("debian", {"plain", "UP_under-9"}),
        ("cronie", {"plain", "a.conf", "c.dpkg-new", "UP_under-9", "sp ace", "e.cron"}),
        ("systemd-cron", {"plain", "a.conf", "UP_under-9", "sp ace", "e.cron", "#f#"}),
        ("busybox", set()),
        ("", set()),
    ],
)
def test_the_names_in_cron_d_that_are_run_are_the_daemons(root: Root, daemon: str, expected: set[str]) -> None:
    install(root, daemon)
    for name in NAMES:
        root.write(f"/etc/cron.d/{name}", JOB)

    assert live(root) == expected
    assert len(root.rows("cron")) == len(NAMES)


def test_a_name_on_which_versions_of_systemd_cron_differ_is_not_known(root: Root) -> None:
    install(root, "systemd-cron")
    root.write("/etc/cron.d/d.rpmsave", JOB)

    assert [row["enabled"] for row in root.rows("cron")] == [None]


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        ("debian", {"link", "runnable", "nologin", "locked", "reboot"}),
        ("cronie", {"link", "hard", "nologin", "locked", "reboot", "minus"}),
    ],
)
def test_files_of_cron_d_are_run_by_owner_mode_links_and_lines(root: Root, daemon: str, expected: set[str]) -> None:
    install(root, daemon)
    root.write("/opt/table", JOB)
    root.link("/etc/cron.d/link", "/opt/table")
    root.write("/etc/cron.d/world", JOB, 0o666)
    root.write("/etc/cron.d/group", JOB, 0o664)
    root.write("/etc/cron.d/runnable", JOB, 0o755)
    hard = root.write("/etc/cron.d/hard", JOB)
    (root.path / "opt/second").hardlink_to(hard)
    root.write("/etc/cron.d/cut", JOB.strip())
    for name, line in {
        "nologin": "* * * * * noshell /opt/job",
        "locked": "* * * * * bob /opt/job",
        "expired": "* * * * * expired /opt/job",
        "shadowless": "* * * * * noshadow /opt/job",
        "stranger": "* * * * * nobody /opt/job",
        "reboot": "@reboot root /opt/job",
        "random": "0~59/1 * * * * root /opt/job",
        "minus": "-* * * * * root /opt/job",
    }.items():
        root.write(f"/etc/cron.d/{name}", f"{line}\n")

    assert live(root) == expected


def test_one_bad_line_spoils_the_file_for_debians_cron_and_itself_for_cronie(root: Root) -> None:
    install(root, "debian")
    root.write("/etc/cron.d/x", f"{JOB}61 * * * * root /opt/bad\n")

    debian = root.rows("cron")
    install(root, "cronie")
    cronie = root.rows("cron")

    assert [row["state"] for row in debian] == ["line 2 spoils the file: bad time"] * 2
    assert [(row["enabled"], row.get("state")) for row in cronie] == [(True, None), (False, "bad time")]


def test_the_last_line_without_its_end_is_lost_alone_with_cronie(root: Root) -> None:
    install(root, "cronie")
    root.write("/etc/cron.d/x", f"{JOB}{JOB.strip()}")

    assert [row["enabled"] for row in root.rows("cron")] == [True, False]


def test_a_hash_behind_a_command_belongs_to_it_and_a_carriage_return_to_its_last_word(root: Root) -> None:
    install(root, "debian")
    root.program("/opt/job")
    root.write("/etc/cron.d/x", "0 4 * * 1-5 root /opt/job # why\n@daily root /opt/job\r\n")

    rows = root.rows("cron")

    assert [(row["command"], row["runs"], row["exists"], row["when"]) for row in rows] == [
        ("/opt/job # why", "/opt/job", True, "0 4 * * 1-5"),
        ("/opt/job\r", "/opt/job\r", False, "@daily"),
    ]


def test_tables_of_users_are_their_owners_and_busybox_runs_only_those_of_root(root: Root) -> None:
    install(root, "debian")
    table = "SHELL=/bin/sh\n*/5 * * * * cd /tmp && ./x; /opt/job\n"
    root.write("/var/spool/cron/crontabs/bob", table, 0o600)
    root.write("/var/spool/cron/crontabs/nosuch", table, 0o600)
    root.write("/var/spool/cron/noshell", table, 0o600)

    debian = {(row["path"], row["runs"]): row["enabled"] for row in root.rows("cron")}
    (root.path / "usr/sbin/cron").unlink()
    install(root, "busybox")
    busybox = live(root)

    assert debian[("/var/spool/cron/crontabs/bob", "/opt/job")]
    assert debian[("/var/spool/cron/crontabs/bob", None)]
    assert not debian[("/var/spool/cron/crontabs/nosuch", "/opt/job")]
    assert not debian[("/var/spool/cron/noshell", "/opt/job")]
    assert busybox == {"bob"}


def test_where_the_shadow_file_cannot_be_read_a_job_is_not_known_to_run(root: Root) -> None:
    install(root, "debian")
    root.write("/etc/cron.d/x", JOB)
    (root.path / "etc/shadow").unlink()
    (root.path / "etc/shadow").mkdir()

    result = root.ask(kind=["^cron$"])

    assert [row["enabled"] for row in root.rows("cron")] == [None]
    assert not result.coverage.complete


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("* * * * *", True),
        ("0,15-30/5 1-3 1 jan,Feb mon-fri", True),
        ("*/10 * * * 7", True),
        ("60 * * * *", False),
        ("* 24 * * *", False),
        ("5-1 * * * *", False),
        ("* * 0 * *", False),
        ("*/0 * * * *", False),
        ("* * * *", False),
        ("a * * * *", False),
        ("@hourly", True),
        ("@often", False),
    ],
)
def test_a_schedule_is_judged_as_crontab_has_it(time: str, good: bool) -> None:
    (job,) = jobs(f"{time} root /bin/x", has_user=True, flavour=Flavour.DEBIAN)

    assert bool(job.problem) is not good


def test_scripts_of_run_parts_have_no_full_stop_and_may_be_executed(root: Root) -> None:
    root.program("/etc/cron.daily/x")
    root.program("/etc/cron.daily/X_1")
    root.program("/etc/cron.daily/x.sh")
    root.write("/etc/cron.daily/off", "#!/bin/sh\n")

    rows = root.named("cron-script")

    assert {name: row["enabled"] for name, row in rows.items()} == {"x": True, "X_1": True, "off": False}


def test_a_queued_job_tells_its_number_time_and_user_and_why_it_is_not_run(root: Root) -> None:
    script = "#!/bin/sh\n# atrun uid=0 gid=0\numask 22\ncd / || {\n\t exit 1\n}\n/opt/later\n"
    folder = "/var/spool/cron/atjobs"
    root.write(f"{folder}/a0000a01c5d2f8", script, 0o700)
    root.write(f"{folder}/b0000b01c5d2f8", script, 0o600)
    root.write(f"{folder}/=0000c01c5d2f8", script, 0o700)
    root.write(f"{folder}/a0000d01c5d2f8", script.replace("uid=0", "uid=1000"), 0o700)
    root.link(f"{folder}/a0000e01c5d2f8", "a0000a01c5d2f8")
    root.write(f"{folder}/.SEQ", "0000e")

    rows = root.named("at")

    assert {name: (row["key"], row["enabled"], row.get("state")) for name, row in rows.items()} == {
        "10": ("queue a", True, None),
        "11": ("queue b", False, "not executable: not run"),
        "12": ("queue =", True, "running"),
        "13": ("queue a", False, "owner and head disagree: not run"),
        "14": ("queue a", False, "a link: not run"),
    }
    assert rows["10"]["when"] == "2026-07-20T00:56Z"
    assert rows["10"]["command"] == "/opt/later"
    assert rows["13"]["user"] == "bob"


def test_anacron_runs_only_where_it_is_installed(root: Root) -> None:
    root.write(
        "/etc/anacrontab", "SHELL=/bin/sh\n7\t10\tcron.weekly\trun-parts /etc/cron.weekly\n@monthly 15 m /opt/m\n"
    )

    without = root.rows("cron")
    root.program("/usr/sbin/anacron")
    rows = root.rows("cron")

    assert [row["enabled"] for row in without] == [False, False]
    assert [(row["name"], row["when"], row["enabled"]) for row in rows] == [
        ("cron.weekly", "every 7 days", True),
        ("m", "@monthly", True),
    ]
