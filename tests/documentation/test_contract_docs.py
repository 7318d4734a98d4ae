"""The plugin that stands at the head of ``mig_core/plugin/module.py`` is a whole plugin: it is run here."""

from __future__ import annotations

import socket
import textwrap
import time
from typing import Any

from mig_core.plugin import module
from mig_core.plugin.module import Context


def example() -> type[Any]:
    text = (module.__doc__ or "").partition("begin with::\n")[2].partition("\nand in the plugin's")[0]
    space: dict[str, Any] = {}
    exec(compile(textwrap.dedent(text), "module docstring", "exec"), space)
    made: type[Any] = space["Port"]
    return made


def test_the_example_finds_a_listening_port() -> None:
    port = example()()
    with socket.create_server(("127.0.0.1", 0)) as server:
        parameters = port.parse_parameters({"port": server.getsockname()[1]})

        result = port.run(parameters, Context(deadline=time.monotonic() + 5))

    assert result.found
    assert result.coverage.examined == {"ports": 1}
