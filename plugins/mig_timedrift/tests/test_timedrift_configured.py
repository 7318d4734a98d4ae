"""Which servers configuration files name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_timedrift.configured import TOO_MANY, Configured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    def put(path: str, text: str) -> None:
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return put


def servers(root: Path, tally: Tally | None = None) -> list[str]:
    found = Configured(tally or Tally(), str(root)).servers()
    return [one.name if one.port == 123 else f"{one.name}:{one.port}" for one in found]


def test_chronys_files_are_followed(put: Callable[[str, str], None], tmp_path: Path) -> None:
    put(
        "/etc/chrony/chrony.conf",
        "! c\n% c\n; c\n# server no.test\nPool p.test iburst\nserver s.test port 1123 nts\npeer peer.test\n"
        "include /etc/chrony/more-*.conf\nconfdir /etc/chrony/conf.d /run/conf.d\nsourcedir /run/chrony-dhcp\n"
        "cmdport 5323\nrefclock PHC /dev/ptp0\nserver\n",
    )
    put("/etc/chrony/more-1.conf", "server included.test\ninclude /etc/chrony/chrony.conf\n")
    put("/etc/chrony/conf.d/b.conf", "server b.test\n")
    put("/run/conf.d/b.conf", "server hidden.test\n")
    put("/run/conf.d/a.conf", "server a.test\n")
    put("/run/conf.d/a.txt", "server no.test\n")
    put("/run/chrony-dhcp/eth0.sources", "server dhcp.test\ninclude /etc/no.conf\n")
    configured = Configured(Tally(), str(tmp_path))

    found = [(one.name, one.port) for one in configured.servers()]

    assert found == [
        ("p.test", 123),
        ("s.test", 1123),
        ("peer.test", 123),
        ("included.test", 123),
        ("a.test", 123),
        ("b.test", 123),
        ("dhcp.test", 123),
    ]
    assert configured.command_port == 5323


def test_ntpds_and_ntpsecs_files_are_followed(put: Callable[[str, str], None], tmp_path: Path) -> None:
    put(
        "/etc/ntp.conf", "server -4 four.test iburst\nserver 127.127.1.0\nincludefile ntp/more.conf\nrestrict default\n"
    )
    put("/etc/ntp/more.conf", "pool more.test # comment\n")
    put("/etc/ntpsec/ntp.conf", "pool 0.debian.pool.ntp.org iburst\n")
    put("/etc/ntpsec/ntp.d/own.conf", "server own.test\n")

    assert servers(tmp_path) == ["four.test", "more.test", "0.debian.pool.ntp.org", "own.test"]


def test_openntpds_file_is_read(put: Callable[[str, str], None], tmp_path: Path) -> None:
    put(
        "/etc/openntpd/ntpd.conf",
        "#server no.test\nlisten on *\nservers pool.test\nserver one.test weight 5\nsensor *\n",
    )

    assert servers(tmp_path) == ["pool.test", "one.test"]


def test_timesyncds_files_and_drop_ins_are_followed(put: Callable[[str, str], None], tmp_path: Path) -> None:
    put("/usr/lib/systemd/systemd-timesyncd", "")
    put("/etc/systemd/timesyncd.conf", "[Time]\n#NTP=\n#FallbackNTP=0.debian.pool.ntp.org 1.debian.pool.ntp.org\n")
    assert servers(tmp_path) == ["0.debian.pool.ntp.org", "1.debian.pool.ntp.org"]

    put("/run/systemd/timesyncd.conf.d/10.conf", "[Time]\nFallbackNTP=fallback.test\n")
    assert servers(tmp_path) == ["fallback.test"]

    put("/run/systemd/netif/links/2", "ADMIN_STATE=configured\nNTP=link.test\n")
    assert servers(tmp_path) == ["link.test"]

    put("/usr/lib/systemd/timesyncd.conf.d/20.conf", "[Time]\nNTP=hidden.test\n")
    put("/etc/systemd/timesyncd.conf.d/20.conf", "[Time]\nNTP=gone.test\nNTP=\nNTP=a.test b.test\n")
    assert servers(tmp_path) == ["a.test", "b.test", "link.test"]


def test_without_timesyncd_its_files_mean_nothing(put: Callable[[str, str], None], tmp_path: Path) -> None:
    put("/etc/systemd/timesyncd.conf", "[Time]\nNTP=a.test\n")

    assert servers(tmp_path) == []


def test_what_is_no_file_too_long_or_includes_itself_for_ever_is_booked(
    put: Callable[[str, str], None], tmp_path: Path
) -> None:
    put("/etc/chrony.conf", "server a.test\n" + "#\n" * (1 << 20))
    put("/etc/chrony/chrony.conf", "confdir /etc/many\ninclude /etc/fifo\n")
    os.mkfifo(tmp_path / "etc/fifo")
    for number in range(250):
        put(f"/etc/many/{number}.conf", "")
    tally = Tally()

    assert servers(tmp_path, tally) == []
    assert tally.skipped(TOO_MANY) > 50
    assert not tally.complete
