"""What starts by itself on systems that debootstrap made, held against systemctl and dpkg: see ``DEBIAN_ROOTS``."""

from __future__ import annotations

import subprocess
import time

import pytest

from mig_autorun import AutorunModule
from mig_core.plugin.module import Context
from mig_endpoint.testing.systems import DEBIAN_ROOTS

MODULE = AutorunModule()
pytestmark = pytest.mark.skipif(not DEBIAN_ROOTS, reason="MIG_DEBIAN_ROOTS names no system made by debootstrap")


def said(*command: str) -> list[list[str]]:
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return [line.split() for line in run.stdout.splitlines() if line.strip()]


@pytest.mark.parametrize("root", DEBIAN_ROOTS)
def test_units_and_packages_are_those_that_the_systems_own_programs_name(root: str) -> None:
    states = said("systemctl", f"--root={root}", "list-unit-files", "--no-legend", "--no-pager", "--full")

    result = MODULE.run(MODULE.parse_parameters({"root": root}), Context(deadline=time.monotonic() + 60))

    rows = list(MODULE.rows(result))
    units = {row["name"]: row["state"] for row in rows if row["kind"] == "systemd" and row.get("state")}
    assert len(states) > 100
    assert {name: units.get(name) for name, *_ in states} == {name: state for name, state, *_ in states}
    files = sorted({str(row["path"]) for row in rows if row["kind"] == "systemd" and row.get("path")})
    names = [*files, *(one.removeprefix("/usr") for one in files)]  # bookworm's packages have them below /lib
    patterns = [one.replace("\\", "\\\\") for one in names]  # dpkg-query takes patterns
    owned = {words[-1] for words in said("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-S", *patterns)}
    assert {one for one in files if not {one, one.removeprefix("/usr")} & owned} <= {
        one for one in files if one.startswith(("/etc/systemd/", "/run/"))
    }
    assert result.coverage.complete
    assert result.errors == ()
