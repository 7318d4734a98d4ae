"""Roots of processes elsewhere: what ``/proc/PID/root`` says is a path over there, and no path of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_endpoint.files.roots import _real
from mig_endpoint.packages.tree import Tree, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """``/proc/PID/root`` of a process whose root is a tmpfs of its own, with the file ``/only-there``."""
    if os.geteuid() != 0:
        pytest.skip("another root needs root")
    (tmp_path / "r").mkdir()
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', sys.argv[1]], check=True)\n"
        "os.chroot(sys.argv[1]); os.chdir('/'); open('/only-there', 'w').close()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code, str(tmp_path / "r")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield f"/proc/{process.pid}/root"
    process.kill()
    process.communicate()


def test_a_root_elsewhere_is_not_taken_for_our_own(elsewhere: str) -> None:
    tree = Tree(root_of(elsewhere))

    assert not tree.is_own
    assert tree.names("/") == ["only-there"]
    assert tree.exists("/only-there")
    assert tree.named(tree.real("/only-there")) == "/only-there"
    assert _real(elsewhere) == elsewhere


def test_our_own_root_and_links_to_directories_are_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    assert root_of("/proc/self/root") == "/"
    assert root_of(f"{tmp_path}/link/") == str(tmp_path)
    assert root_of(f"{tmp_path}/none") == f"{tmp_path}/none"
    assert _real(f"{tmp_path}/link") == str(tmp_path)
