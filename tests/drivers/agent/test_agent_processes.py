"""What a real agent's processes may leave behind, see and be dumped to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mig_core.agent.operations.clean_environment import clean_environment
from mig_core.domain.command import CommandState
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


@pytest.mark.parametrize(
    ("how", "state", "words"),
    [
        (0, CommandState.FAILED, "SIGSEGV"),
        (1, CommandState.FAILED, "launches modules died"),
        (2, CommandState.SUCCESS, ""),
    ],
)
def test_a_process_that_a_module_left_behind_ends_and_the_answer_does_not_wait_for_it(
    how: int, state: CommandState, words: str, endpoint: Endpoint, platform: Platform
) -> None:
    trace = endpoint.folder / "trace"
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)
    command = endpoint.command(endpoint.action(("straying", {"word": str(trace), "seconds": how})))
    began = time.monotonic()

    platform.send(command)
    answer = platform.answer_to(command.command)

    assert answer.state is state and words in answer.reason
    assert time.monotonic() - began < 60, "the operation may take five minutes; the stray lives as long"
    stray = int(trace.read_text())
    eventually(lambda: not alive(stray))
    eventually(lambda: not Path(f"/proc/{stray}").exists())
    follow_up = endpoint.command(endpoint.action(("echo", {"word": "x"})))
    platform.send(follow_up)
    assert platform.answer_to(follow_up.command).state is CommandState.SUCCESS


def test_what_was_a_child_of_the_agents_before_it_began_is_left_alone(endpoint: Endpoint, platform: Platform) -> None:
    trace, helper = endpoint.folder / "trace", endpoint.folder / "helper"
    command = [sys.executable, "-m", "mig_core.agent.main", "--config", str(endpoint.configuration)]
    script = 'setsid sleep 300 & echo $! > "$0"; exec "$@"'
    agent = subprocess.Popen(
        ["/bin/sh", "-c", script, str(helper), *command], env=endpoint.environment, stderr=subprocess.DEVNULL
    )
    try:
        platform.wait_for(lambda: platform.heartbeats)
        asked = endpoint.command(endpoint.action(("straying", {"word": str(trace), "seconds": 1})))
        platform.send(asked)
        platform.answer_to(asked.command)
        eventually(lambda: not alive(int(trace.read_text())))

        assert alive(int(helper.read_text()))
    finally:
        agent.terminate()
        agent.wait(60)
        os.kill(int(helper.read_text()), signal.SIGKILL)


def test_a_module_sees_no_proxy_password_and_no_setting_of_the_agents(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.environment = {
        **endpoint.environment,
        "https_proxy": "http://user:secret@proxy.example.org",
        "NO_PROXY": "127.0.0.1",
        "MIG_AGENT_LOG_LEVEL": "INFO",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "WANTED": "yes",
        "LC_ALL": "C.UTF-8",
    }
    endpoint.configure(platform.server.url, keep_environment=["WANTED"])
    endpoint.start()
    command = endpoint.command(endpoint.action(("surroundings", {})))

    platform.send(command)
    seen = platform.answer_to(command.command).results[0].elements

    assert "secret" not in str(seen)
    assert seen["WANTED"] == "yes" and seen["LC_ALL"] == "C.UTF-8" and "PATH" in seen
    assert set(seen) == set(clean_environment(endpoint.environment, keep=["WANTED"]))


def test_only_who_opens_connections_learns_of_proxies() -> None:
    environment = {"PATH": "/bin", "HTTPS_PROXY": "x", "no_proxy": "y", "TOKEN": "z"}

    assert clean_environment(environment) == {"PATH": "/bin"}
    assert clean_environment(environment, proxies=True) == {"PATH": "/bin", "HTTPS_PROXY": "x", "no_proxy": "y"}


def test_the_agent_leaves_no_core_dump(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.start()
    platform.wait_for(lambda: platform.heartbeats)

    limits = Path(f"/proc/{endpoint.pid}/limits").read_text(encoding="ascii")

    assert "Max core file size        0                    0 " in limits


def test_a_process_that_forbids_dumps_says_so_to_the_kernel() -> None:
    script = (
        "import ctypes, resource; from mig_core.dumps import forbid_dumps; forbid_dumps();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said == "0 (0, 0)\n"
