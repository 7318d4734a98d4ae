"""``mig audit``: the question and its answer over the module's socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mig_audit import AuditModule
from mig_core.domain.document import dump
from mig_core.domain.result import ModuleResult
from mig_core.errors import ParameterError
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.document import JSON

STATUS: dict[str, JSON] = {
    "mode": "unicast", "enabled": 1, "rules_wanted": 4, "rules_loaded": 4, "rules_refused": 0, "rules_foreign": 1,
    "events": 10, "records": 70, "lost": {"kernel_lost": 2, "missing_events": 0}, "backlog": 0,
    "backlog_limit": 65536, "queued_records": 0, "open_events": 0,
}  # fmt: skip


def answered(path: Path, answer: bytes) -> tuple[ModuleResult, bytes]:
    asked = b""

    def serve() -> None:
        nonlocal asked
        connection, _address = listener.accept()
        with connection:
            asked = connection.recv(65_536)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        result = AuditModule().run(None, Context(deadline=time.monotonic() + 60, persist_socket=str(path)))
        thread.join()
    return result, asked


def test_the_running_modules_answer_is_the_result(tmp_path: Path) -> None:
    answer = dump(ModuleResult(True, True, dict(STATUS)).to_json()) + b"\n"

    result, asked = answered(tmp_path / "s", answer)

    assert json.loads(asked)["parameters"] == {}
    assert result.found
    assert result.elements == STATUS


def test_where_no_module_runs_the_question_fails_and_says_so() -> None:
    result = AuditModule().run(None, Context(deadline=time.monotonic() + 5))

    assert not result.success
    assert result.errors


def test_lines_say_the_state_and_what_was_lost() -> None:
    lines = list(AuditModule().lines(ModuleResult(True, True, dict(STATUS)), found_only=False))

    assert lines[0].startswith("mode=unicast enabled=1 rules_wanted=4 rules_loaded=4")
    assert lines[1] == "lost: kernel_lost=2"


def test_parameters_are_refused() -> None:
    with pytest.raises(ParameterError):
        AuditModule().parse_parameters({"x": 1})
