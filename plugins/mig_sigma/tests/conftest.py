"""What the tests of this plugin share: recorded alerts of ``audit``, rules written in Sigma's YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_sigma.compiling import Compiled, compile_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_sigma.rule import Rule

DATA = Path(__file__).parent / "data"

HEAD = """title: A rule
id: 0f5b1a52-6c1e-4b07-8f3c-6f3c8a9d1c11
logsource:
    product: linux
    {source}
level: {level}
detection:
"""


@pytest.fixture(scope="session")
def alerts() -> list[bytes]:
    """Alerts of ``audit``, made of records of a real kernel."""
    return (DATA / "alerts.jsonl").read_bytes().splitlines()


@pytest.fixture
def program() -> Callable[..., bytes]:
    """The alert of a program that starts, as ``audit`` writes it."""

    def made(*arguments: str, exe: str = "/usr/bin/true", user: str = "root", **process: Any) -> bytes:
        event = {
            "schema": 1, "type": "SYSCALL", "time": "2026-11-23T15:16:22.498Z", "serial": 7, "complete": True,
            "record_types": ["SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE"], "result": True,
            "syscall": {"name": "execve", "number": 59, "arch": "x86_64", "args": ["0x1", "0x2", "0x3", "0x4"]},
            "process": {"pid": 700, "ppid": 0, "name": "x", "exe": exe, "cwd": "/", "arguments": list(arguments)}
            | process,
            "user": {"auid": 1000, "uid": 0, "uid_name": user, "euid": 0, "euid_name": user},
            "paths": [{"item": 0, "name": exe, "type": "NORMAL", "inode": 4, "mode": "0100755"}],
        }  # fmt: skip
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()

    return made


@pytest.fixture
def rule() -> Callable[..., Rule]:
    """Compiles one rule from its detection, indented by four blanks."""

    def made(detection: str, source: str = "category: process_creation", level: str = "medium") -> Rule:
        compiled = Compiled()
        compile_text(HEAD.format(source=source, level=level) + detection, "rule.yml", compiled)
        assert compiled.left_out == {}
        return compiled.rules[0]

    return made
