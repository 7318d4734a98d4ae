"""``mig-agent -m MODULE``: one message in on standard input, one result out, as the original program's modules spoke.

For tests, for other programs and for a person on the endpoint; no configuration, no platform, no signature. Imports are
kept few: this starts often.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from mig_core.domain.document import dump
from mig_core.domain.result import ModuleResult
from mig_core.errors import MigError, ModuleUnknown
from mig_core.plugin.apart import run_apart
from mig_core.plugin.module import Context
from mig_core.text import printable, visible

if TYPE_CHECKING:
    from mig_core.plugin.apart import HandOver
    from mig_core.plugin.module import Module

SECONDS = 300.0
"""Time limit of a run, the original's default."""
MAX_MESSAGE_BYTES = 64 << 20
_SHOWN = "parameters"


def run_module(name: str, *, as_lines: bool, source: BinaryIO, sink: TextIO, mask: bool = False) -> None:
    """Reads a message, runs the module, prints its result (or its lines); what fails becomes a failed result.

    Args:
        name: the module, in any case.
        as_lines: print what a person reads instead of JSON.
        source: gives ``{"class": "parameters", "parameters": {…}}``, one line.
        sink: standard output.
        mask: hide what ``extra_privacy`` hides.
    """
    # What a module or a library of it prints must not end up inside the result.
    out = os.fdopen(os.dup(sink.fileno()), "w", encoding="utf-8", errors="replace")
    os.dup2(2, sink.fileno())
    with out:
        try:
            module = _load(name.lower())
        except ModuleUnknown as error:
            json.dump({"errors": [error.problem]}, out)
            return
        try:
            message = _read_message(source)
        except MigError as error:
            result = module.failure(str(error))
        else:
            deadline = time.monotonic() + SECONDS
            result = run_apart(partial(_run, module, *message, deadline), deadline)
        if mask:
            result = module.mask(result)
        if as_lines:
            for line in module.lines(result, found_only=False):
                print(printable(line), file=out)
            return
        try:
            text = dump(result.to_json())
        except (TypeError, ValueError, RecursionError) as error:
            text = dump(module.failure(f"the module's result is not JSON: {error}").to_json())
        out.buffer.write(text)


def _load(name: str) -> Module[Any]:
    from mig_core.plugin.manager import load_module

    return load_module(name)


def _run(
    module: Module[Any], parameters: object, persist_socket: str, deadline: float, so_far: HandOver | None
) -> ModuleResult:
    try:
        parsed = module.parse_parameters(parameters, strict=False)
        context = Context(deadline=deadline, persist_socket=persist_socket, on_partial=so_far)
        result: object = module.run(parsed, context)
    except MigError as error:
        return module.failure(str(error))
    except Exception as error:  # whatever a module raises is a failed result, as in the agent
        sys.stderr.write(f"{type(error).__name__}: {visible(str(error))}\n")
        return module.failure(f"{type(error).__name__}: {error}")
    if not isinstance(result, ModuleResult):
        return module.failure(f"the module returned {type(result).__name__}, not a result")
    return result


def _read_message(source: BinaryIO) -> tuple[object, str]:
    """Parameters and persist socket of a message.

    Keys are matched in any case and unknown ones ignored, as the original did; missing parameters are ``{}``.
    """
    line = source.readline(MAX_MESSAGE_BYTES + 1)
    if not line:
        raise MigError("ReadInputParameters() -> ReadInput() -> EOF: standard input is empty")
    if len(line) > MAX_MESSAGE_BYTES:
        raise MigError(f"ReadInputParameters() -> ReadInput() -> the message is larger than {MAX_MESSAGE_BYTES} bytes")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MigError(f"ReadInputParameters() -> ReadInput() -> not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MigError("ReadInputParameters() -> ReadInput() -> the message is not an object")
    folded = {key.casefold(): value for key, value in message.items()}
    if folded.get("class") != _SHOWN:
        raise MigError(f"ReadInputParameters() -> class is {folded.get('class')!r:.60}, expected 'parameters'")
    parameters = folded.get("parameters")
    persist_socket = folded.get("persistsock")
    return ({} if parameters is None else parameters), persist_socket if isinstance(persist_socket, str) else ""
