"""What the kernel's texts mean: capabilities, units, terminals, disguises."""

from __future__ import annotations

import pytest

from mig_endpoint.processes.stat import parse_stat
from mig_process.capabilities import names_of
from mig_process.disguise import looks_like_kernel
from mig_process.sources import terminal_of
from mig_process.units import group_of, unit_of


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0", []),
        ("000001ffffffffff", ["all"]),
        ("0000000000002000", ["net_raw"]),
        ("0000020000000001", ["chown", "41"]),
    ],
)
def test_capabilities_have_names(text: str, names: list[str]) -> None:
    assert list(names_of(text, 40)) == names


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        (b"0::/system.slice/ssh.service\n", "ssh.service"),
        (b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n", "app-x.scope"),
        (b"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
        (b"12:cpu:/x.service\n1:name=systemd:/system.slice/cron.service\n", "cron.service"),
        (b"0::/\n", ""),
        (b"0::/system.slice/docker-abc.scope/init.scope (deleted)\n", "init.scope"),
        (b"", ""),
    ],
)
def test_the_innermost_unit_counts(cgroup: bytes, unit: str) -> None:
    assert unit_of(cgroup) == unit


def test_the_group_is_that_of_the_unified_hierarchy() -> None:
    assert group_of(b"5:cpu:/a\n0::/b\n") == "/b"
    assert group_of(b"1:name=systemd:/c\n") == "/c"
    assert group_of(b"nonsense") == ""


@pytest.mark.parametrize(
    ("number", "name"), [(0, ""), (34816 + 2, "pts/2"), (1024 + 1, "tty1"), (1024 + 64, "ttyS0"), (1281, "console")]
)
def test_terminals_have_names(number: int, name: str) -> None:
    stat = parse_stat(b"1 (a) b) S 1 1 1 %d -1" % number + b" 0" * 30)

    assert terminal_of(stat.terminal) == name


@pytest.mark.parametrize(
    ("command", "arguments", "looks"),
    [
        ("sleep", (b"[kworker/0:1]", b"77"), True),
        ("kworker/0:1", (b"/tmp/x",), True),
        ("x", (b"",), True),
        ("sshd", (b"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",), False),
        ("bash", (b"-bash",), False),
        ("kworker", (b"kworkerd",), True),
        ("kate", (b"kate",), False),
        ("test", (b"[", b"a", b"]"), False),
        ("x", (b"[kworker/u8:2-flush 8:0]",), True),
        ("kswapd0", (b"/tmp/x",), True),
        ("kcompactd1", (b"/tmp/x",), True),
        ("khungtaskd", (b"/tmp/x",), True),
    ],
)
def test_what_looks_like_the_kernel_is_told(command: str, arguments: tuple[bytes, ...], looks: bool) -> None:
    assert looks_like_kernel(command, arguments) is looks
