"""Which programs a command line runs, as far as anybody can tell without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mig_autorun.commands import MAX_PROGRAMS, shell_runs, word_runs

if TYPE_CHECKING:
    from .conftest import Root


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("test -x /a || { cd / && run-parts /b; }", ["run-parts"]),
        ("[ -d /run ] && if [ ! -e /x ]; then /opt/y; fi", ["/opt/y"]),
        ("A=1 env B=2 nice -n 10 ionice -c3 /opt/x >/dev/null 2>&1", ["/opt/x"]),
        ("sh -c 'curl u | bash; /opt/x'", ["sh", "curl", "bash", "/opt/x"]),
        ("bash -o pipefail /opt/x.sh", ["/opt/x.sh"]),
        ("sudo -u bob python3 -u /opt/x.py --y", ["/opt/x.py"]),
        ("python3 -m evil", ["python3"]),
        ("su - bob -c '/opt/x -y; /opt/z'", ["su", "/opt/x", "/opt/z"]),
        ("timeout 5 'a b' c", ["a b"]),
        (". /etc/x.sh", ["/etc/x.sh"]),
        ("/opt/x # /opt/no", ["/opt/x"]),
        ("$X/y", [None]),
        ("test $(/opt/x) = `/opt/y` && /opt/z", ["/opt/z", "/opt/x", "/opt/y"]),
        ("if [ -d /x ]; then \\\n /opt/x a; \\\nfi \\", ["/opt/x"]),
        ("echo hello", []),
    ],
)
def test_wrappers_are_opened_and_what_only_tests_is_left_out(command: str, expected: list[str | None]) -> None:
    assert [run.script or run.program for run in shell_runs(command) if not run.is_argument] == expected


def test_more_programs_than_are_told_end_in_one_that_is_not_known() -> None:
    runs = shell_runs("; ".join(f"/opt/{number}" for number in range(100)))

    assert len(runs) == MAX_PROGRAMS
    assert runs[-1].program is None


def test_words_that_pass_no_shell_are_taken_as_they_are() -> None:
    assert [run.program for run in word_runs(["/opt/a b", ";", "$x"])] == ["/opt/a b"]
    assert [run.program for run in word_runs(["/bin/sh", "-c", "/opt/$x; /opt/y"])] == ["/bin/sh", None, "/opt/y"]


def test_a_program_that_another_is_given_is_told_if_it_can_be_run(root: Root) -> None:
    root.program("/usr/bin/xargs")
    root.program("/opt/payload")
    root.write("/opt/data")
    root.program("/usr/sbin/cron")
    root.write("/etc/crontab", "* * * * * root xargs /opt/payload /opt/data /opt/none\n")

    assert [row["runs"] for row in root.rows("cron")] == ["/usr/bin/xargs", "/opt/payload"]


def test_a_table_that_sets_its_path_finds_programs_there_first(root: Root) -> None:
    root.program("/usr/bin/tool")
    root.program("/opt/evil/tool")
    root.program("/usr/sbin/cron")
    root.write("/etc/crontab", "PATH=/opt/evil:/usr/bin\n* * * * * root tool\n")

    assert [row["runs"] for row in root.rows("cron")] == ["/opt/evil/tool"]
