"""The list of places is sound, and says of each who says so."""

from __future__ import annotations

import re

import pytest

from mig_endpoint.places.place import Place, Reach, Spot, all_places

PLACES = all_places()


def place(name: str) -> Place:
    return next(one for one in PLACES if one.name == name)


def test_each_place_has_a_name_of_its_own_and_a_source() -> None:
    names = [one.name for one in PLACES]

    assert len(set(names)) == len(names)
    assert all(one.source and one.kind and one.reader and one.spots for one in PLACES)
    assert all(re.fullmatch(r"[a-z0-9-]+", word) for one in PLACES for word in (one.name, one.kind, one.reader))


def test_paths_are_absolute_or_of_a_home() -> None:
    patterns = [spot.pattern for one in PLACES for spot in one.spots]

    assert all(re.fullmatch(r"[~]?(/[^/]+)+", pattern) for pattern in patterns)
    assert not [pattern for pattern in patterns if "/../" in pattern or "**" in pattern]


def test_how_much_a_path_stands_for_is_told_by_its_end() -> None:
    assert place("cron-d").spots[0] == Spot("/etc/cron.d", Reach.ENTRIES)
    assert place("crontab").spots == (Spot("/etc/crontab", Reach.FILE),)
    assert Spot("/etc/systemd/system", Reach.BELOW) in place("systemd-system").spots


@pytest.mark.parametrize(
    ("name", "live", "dead"),
    [
        ("ld-path", ["x.conf"], ["x", "x.conf~", ".x.conf", "x.conf.bak", "x.sh"]),
        ("modprobe", ["x.conf"], ["x", "x.conf~", ".x.conf", "x.conf.bak", "x.sh", "X_1"]),
        ("apt-configuration", ["x", "x.conf", "X_1"], ["x.sh", "x.conf~", ".x.conf", "x.conf.bak"]),
        ("dpkg-configuration", ["x", "X_1"], ["x.conf", "x.sh", ".x.conf"]),
        ("logrotate", ["x", "x.conf", ".x.conf", "x.sh", "X_1"], ["x.conf~", "x.conf.bak", "x.conf.disabled"]),
        ("motd", ["x", "00-header", "99-esm"], ["00-x.dpkg-old", "X_1", "x.conf", "x.sh", ".x"]),
        ("cron-daily", ["x", "X_1"], ["x.sh", "x.conf", ".x", "x~"]),
        ("shell-profile-d", ["x.sh"], ["x", "x.conf", ".x.sh", "x.sh~"]),
        ("systemd-system-generators", ["g", "with blank"], [".g", "g~", "g.bak", "g.dpkg-new", "g.rpmsave"]),
        ("udev", ["10-x.rules"], ["x.rules.bak", ".x.rules"]),
        ("python-startup", ["a.pth", ".a.pth", "sitecustomize.py", "sitecustomize"], ["a.py", "a.pth~"]),
        ("at", ["a0000a01c5d2f8", "=0000a01c5d2f8", "b0000a01c5d2f8"], ["spool", "a0000a01c5d2f", ".SEQ"]),
        ("systemd-credentials", ["ssh.authorized_keys.root", "udev.rules.x"], ["fstab.extra", "passwd.x.root"]),
    ],
)
def test_the_names_in_force_are_those_that_were_seen_to_be(name: str, live: list[str], dead: list[str]) -> None:
    found = [one for one in (*live, *dead) if place(name).in_force(one)]

    assert found == live
