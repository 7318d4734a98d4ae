"""Where a persistent module is asked: a private socket in its process, one question a connection.

Whoever may enter the agent's state directory may ask. A question that is too long, too slow or no JSON gets a failed
result, like one whose handler raised; none of them ends anything but its own connection.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from mig_core.domain.document import dump
from mig_core.domain.result import ModuleResult
from mig_core.errors import MigError
from mig_core.plugin.question import MAX_QUESTION_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[object], ModuleResult]

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 8


class QuestionSocket:
    """Listens and answers.

    Args:
        path: of the socket; what is there is replaced. Its folder is private.
        handler: answers; called by one thread at a time.
        seconds: how long a question may take to arrive, and an answer to leave.
    """

    def __init__(self, path: str, handler: Handler, *, seconds: float = 10.0) -> None:
        self._handler = handler
        self._seconds = seconds
        self._one = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._listener = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        # Before bind(2): the file is never there with another mode (unix_bind() in the kernel keeps it).
        os.fchmod(self._listener.fileno(), 0o600)
        self._listener.bind(path)
        self._listener.listen(_MOST_CONNECTIONS)
        threading.Thread(target=self._listen, name="questions", daemon=True).start()

    def _listen(self) -> None:
        while True:
            self._room.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # descriptors have run out, perhaps
                self._room.release()
                log.warning("a question could not be taken: %s", error)
                time.sleep(0.1)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="question", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):  # whoever asked has gone
                answer = self._answer(connection)
                connection.settimeout(self._seconds)
                connection.sendall(answer + b"\n")
        finally:
            self._room.release()

    def _answer(self, connection: socket.socket) -> bytes:
        try:
            parameters = _parameters(self._receive(connection))
            with self._one:
                result: object = self._handler(parameters)
            if not isinstance(result, ModuleResult):
                raise TypeError(f"the module answered {type(result).__name__}, not a ModuleResult")
            return dump(result.to_json())
        except MigError as error:
            problem = str(error)
        except Exception as error:  # documented: a failed result, whatever it was
            problem = f"{type(error).__name__}: {error}"
            log.warning("a question failed: %s", problem)
        return dump(ModuleResult.failure(problem[:4000]).to_json())

    def _receive(self, connection: socket.socket) -> bytes:
        end = time.monotonic() + self._seconds
        line = bytearray()
        while b"\n" not in line:
            left = end - time.monotonic()
            if left <= 0:
                raise MigError(f"the question did not arrive within {self._seconds:g} s")
            connection.settimeout(left)
            try:
                part = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not part:
                break
            line += part
            if len(line) > MAX_QUESTION_BYTES:
                raise MigError(f"the question is longer than {MAX_QUESTION_BYTES} bytes")
        return bytes(line).partition(b"\n")[0]


def _parameters(line: bytes) -> object:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MigError(f"the question is not JSON: {error}") from None
    if isinstance(message, dict) and message.get("class") == "parameters":
        return message.get("parameters")
    return message
