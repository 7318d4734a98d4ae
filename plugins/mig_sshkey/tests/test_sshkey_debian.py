"""Host keys of systems that debootstrap made, held against ssh-keygen: see ``DEBIAN_ROOTS``."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.testing.systems import DEBIAN_ROOTS
from mig_sshkey import SshkeyModule

MODULE = SshkeyModule()
pytestmark = pytest.mark.skipif(not DEBIAN_ROOTS, reason="MIG_DEBIAN_ROOTS names no system made by debootstrap")


@pytest.mark.parametrize("root", DEBIAN_ROOTS)
def test_host_keys_are_found_as_pairs_with_the_fingerprints_of_ssh_keygen(root: str) -> None:
    public = sorted(Path(root, "etc/ssh").glob("*.pub"))
    theirs = {
        subprocess.run(["ssh-keygen", "-l", "-f", one], capture_output=True, text=True, check=True).stdout.split()[1]
        for one in public
    }

    result = MODULE.run(MODULE.parse_parameters({"root": root}), Context(deadline=time.monotonic() + 60))

    rows = [row for row in MODULE.rows(result) if str(row["path"]).startswith(f"{root}/etc/ssh/")]
    for kind in ("public", "private"):
        assert {row["fingerprint_sha256"] for row in rows if row["type"] == kind} == theirs
    assert theirs
    assert result.coverage.complete
