"""The child's side of one operation: what happens in the process that the zygote has just forked.

It reads one request from its socket, runs the module's code, sends back frames and ends; only one that has looked at an
operation's parameters may stay, to be told to run it once it is known that it may be run. Whatever the module prints
goes nowhere; whatever it raises becomes a frame.
"""

from __future__ import annotations

import gc
import json
import os
import time
from typing import TYPE_CHECKING, Any, cast

from mig_core.agent.operations.confinement import confine, leave_parent, limit_processor
from mig_core.agent.operations.frames import MAX_REQUEST_BYTES, FrameKind, receive_frame, send_frame
from mig_core.domain.document import JSON, dump
from mig_core.domain.result import Coverage, ModuleResult
from mig_core.errors import ConfigurationError, MigError, ParameterError
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mig_core.plugin.module import Module
    from mig_core.plugin.persistent import PersistentModule


OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""A run lives shortly, and the rows of its answer are no garbage: looking for some ever so often took a tenth of it."""


def serve_request(
    connection: socket.socket,
    parent: int,
    find: Callable[[str], Module[Any]],
    gather: Callable[[str], dict[str, JSON]],
    finished: Callable[[str, bool, bool, float], None],
) -> None:
    """Serves one request, or looks at parameters and runs with them, and leaves the process; never returns.

    Args:
        connection: to the agent.
        parent: the zygote's process id.
        find: module by name.
        gather: the environment facts.
        finished: told module, success, found and seconds after a run whose result has been sent.
    """
    status = 1
    try:
        leave_parent(parent)
        _serve(connection, find, gather, finished)
        status = 0
    except BaseException as error:  # this is the outermost frame of the process; nothing else could report it
        try:
            send_frame(connection, FrameKind.BROKEN, dump(f"{type(error).__name__}: {error}"[:4000]))
        except BaseException:
            status = 2
    finally:
        os._exit(status)


def _serve(
    connection: socket.socket,
    find: Callable[[str], Module[Any]],
    gather: Callable[[str], dict[str, JSON]],
    finished: Callable[[str, bool, bool, float], None],
) -> None:
    request = _next_request(connection)
    if request is None:
        return
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    confine(**request["limits"])
    try:
        if request["what"] == "environment":
            send_frame(connection, FrameKind.FINAL, dump(gather(request["name"])))
            return
        module = find(request["module"])
        if request["what"] == "check":
            cast("PersistentModule[Any]", module).check_config(request["config"])
            send_frame(connection, FrameKind.FINAL, b"null")
            return
        parsed = module.parse_parameters(request["parameters"])
        if request["what"] == "parse":
            send_frame(connection, FrameKind.FINAL, b"null")
            if not request.get("stays") or (request := _next_request(connection)) is None:
                return
            limit_processor(request["limits"]["cpu_seconds"])
        began = time.monotonic()
        result = _run(connection, module, parsed, request)
        finished(module.info.name, result.success, result.found, time.monotonic() - began)
    except ConfigurationError as error:
        fault: JSON = {"path": error.key, "problem": error.problem, "next_step": error.next_step}
        send_frame(connection, FrameKind.PARAMETERS, dump(fault))
    except ParameterError as error:
        body: JSON = {"path": error.path, "problem": error.problem, "next_step": error.next_step}
        send_frame(connection, FrameKind.PARAMETERS, dump(body))
    except MemoryError:
        send_frame(connection, FrameKind.MEMORY, b"null")
    except MigError as error:
        send_frame(connection, FrameKind.BROKEN, dump(str(error)))


def _next_request(connection: socket.socket) -> dict[str, Any] | None:
    """What is asked; None when nothing is any more."""
    frame = receive_frame(connection, max_bytes=MAX_REQUEST_BYTES)
    return None if frame is None else cast("dict[str, Any]", json.loads(frame[1]))


def _run(connection: socket.socket, module: Module[Any], parsed: object, request: dict[str, Any]) -> ModuleResult:
    def encode(result: ModuleResult) -> bytes:
        if request["privacy"]:
            result = module.mask(result)
        try:
            body = dump(result.to_json())
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"its result is not JSON: {error}") from None
        if len(body) > request["max_bytes"]:
            problem = f"the result has {len(body)} bytes, at most {request['max_bytes']} can be sent: ask for less"
            body = dump(ModuleResult(result.found, False, None, None, (problem,), Coverage(complete=False)).to_json())
        return body

    context = Context(
        deadline=request["deadline"],
        threads=request["threads"],
        environment=request["environment"],
        tags=request["tags"],
        persist_socket=request["persist_socket"],
        action=request["action"],
        window_ends=request["window_ends"],
        on_partial=lambda result: send_frame(connection, FrameKind.PARTIAL, encode(result)),
    )
    result: object = module.run(parsed, context)
    if not isinstance(result, ModuleResult):
        raise TypeError(f"run() returned {type(result).__name__}, not a ModuleResult")
    late = b"true" if time.monotonic() >= request["deadline"] else b"false"
    send_frame(connection, FrameKind.FINAL, b'{"late":%b,"result":' % late, encode(result), b"}")
    return result
