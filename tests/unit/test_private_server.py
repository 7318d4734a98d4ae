"""What the servers that we start ourselves have in common: one state folder each, and an end in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.private_server import end, lock_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STUBBORN = """
import signal, sys, time
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    descriptor = lock_folder(tmp_path, wait=0)
    assert descriptor is not None
    yield descriptor
    os.close(descriptor)


def stubborn(*ignored: str) -> subprocess.Popen[bytes]:
    """A process that runs and ignores these signals."""
    process = subprocess.Popen([sys.executable, "-c", STUBBORN, *ignored], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.usefixtures("lock")
def test_a_folder_that_is_held_cannot_be_locked_again(tmp_path: Path) -> None:
    assert lock_folder(tmp_path, wait=0.1) is None


def test_only_its_owner_may_open_the_lock(lock: int) -> None:
    assert os.fstat(lock).st_mode & 0o777 == 0o600
    assert os.get_inheritable(lock) is False


def test_a_link_in_the_lock_s_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic link"):
        lock_folder(tmp_path, wait=0)

    assert not (tmp_path / "elsewhere").exists()


def test_a_process_that_inherits_the_lock_holds_it_to_its_end(tmp_path: Path) -> None:
    held = lock_folder(tmp_path, wait=0)
    assert held is not None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held]) as process:
        os.close(held)

        while_it_runs = lock_folder(tmp_path, wait=0)
        assert process.stdin is not None
        process.stdin.close()
        afterwards = lock_folder(tmp_path, wait=60)

    assert while_it_runs is None
    assert afterwards is not None
    os.close(afterwards)


def test_the_first_signal_is_enough_for_who_obeys_it() -> None:
    process = stubborn()

    end(process, [(signal.SIGTERM, 60), (signal.SIGKILL, 60)])

    assert process.returncode == -signal.SIGTERM


def test_who_ignores_a_signal_gets_the_next_one() -> None:
    process = stubborn("SIGINT", "SIGTERM")

    end(process, [(signal.SIGINT, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, 10)])

    assert process.returncode == -signal.SIGKILL


def test_who_has_ended_by_itself_gets_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()

    end(process, [(signal.SIGKILL, 1)])

    assert process.returncode == 0
