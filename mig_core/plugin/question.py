"""Asks a persistent module's running process: what its ``run`` does, in the process of an operation."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump, load, members
from mig_core.domain.result import ModuleResult, read_module_result
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_core.plugin.module import Context

MAX_QUESTION_BYTES = 1 << 20
"""Longest question, as a line."""
LEAST_SECONDS = 0.5
"""How long an answer is waited for, even if the run's time is up."""


def ask(context: Context, parameters: JSON) -> ModuleResult:
    """What the module's running process answers, within the run's time; a failed result says why there is no answer."""
    path = context.persist_socket.removeprefix("unix:")
    if not path:
        return ModuleResult.failure("the module has no running process here to be asked")
    question = dump({"class": "parameters", "parameters": parameters}) + b"\n"
    if len(question) > MAX_QUESTION_BYTES:
        return ModuleResult.failure(f"the question has {len(question)} bytes, at most {MAX_QUESTION_BYTES} can be sent")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(max(LEAST_SECONDS, context.remaining()))
            connection.connect(path)
            connection.sendall(question)
            answer = bytearray()
            while not answer.endswith(b"\n"):
                # One for the whole would restart with each part that comes.
                connection.settimeout(max(LEAST_SECONDS, context.remaining()))
                part = connection.recv(1 << 18)
                if not part or len(answer) > envelopes.MAX_RESULT_BYTES:
                    return ModuleResult.failure("the running process of the module gave no whole answer")
                answer += part
        except TimeoutError:
            return ModuleResult.failure("the running process of the module did not answer in time")
        except OSError as error:
            return ModuleResult.failure(f"the running process of the module cannot be asked: {error}")
    try:
        return read_module_result(
            members(load(bytes(answer), subject="answer", max_bytes=len(answer)), subject="answer")
        )
    except InvalidDocument as error:
        return ModuleResult.failure(f"the running process of the module gave no usable answer: {error}")
