"""The plugins that stand at the heads of ``mig_core/plugin/module.py`` and ``table.py`` are whole: they run here."""

from __future__ import annotations

import socket
import textwrap
import time
from typing import TYPE_CHECKING, Any

from mig_core.domain.result import ModuleResult
from mig_core.plugin import module, table
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    from types import ModuleType

PASSWD = "/etc/passwd"


def example(file: ModuleType, name: str) -> Any:
    text = (file.__doc__ or "").partition("plugin")[2].partition("::\n")[2].partition("\nand in the plugin's")[0]
    space: dict[str, Any] = {}
    exec(compile(textwrap.dedent(text), "module docstring", "exec"), space)
    return space[name]()


def asked(plugin: Any, raw: object) -> ModuleResult:
    result = plugin.run(plugin.parse_parameters(raw), Context(deadline=time.monotonic() + 5))
    assert isinstance(result, ModuleResult)
    return result


def test_the_example_finds_a_listening_port() -> None:
    port = example(module, "Port")
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = asked(port, {"port": server.getsockname()[1]})

    assert result.found
    assert result.coverage.examined == {"ports": 1}


def test_the_table_of_the_example_gives_the_accounts_asked_for() -> None:
    accounts = example(table, "Accounts")

    result = asked(accounts, {"uid": ["0"]})

    rows = list(accounts.rows(result))
    assert {row["uid"] for row in rows} == {0}
    assert result.coverage.complete
    with open(PASSWD, encoding="utf-8") as file:
        assert result.coverage.examined == {"accounts": len(file.readlines())}


def test_the_table_of_the_example_hides_what_is_masked() -> None:
    accounts = example(table, "Accounts")

    result = accounts.mask(asked(accounts, {"user": ["^root$"]}))

    assert [row["home"] for row in accounts.rows(result)] == ["masked"]
