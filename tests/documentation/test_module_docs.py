"""Each module's page has the declared parameters in its table, and five examples that work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ModuleUnknown
from mig_core.plugin.manager import load_module

if TYPE_CHECKING:
    from typing import Protocol

    from mig_core.plugin.module import Module

    class LocalMig(Protocol):
        root: Path

        def put(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None: ...
        def commands(self, page: str) -> list[str]: ...
        def ask(self, line: str, *more: str, below_root: bool = False) -> tuple[list[str], bool]: ...


PAGES = Path(__file__).parents[2] / "docs" / "modules"
MODULES = ("file", "memory", "ping", "pkg", "timedrift", "yara")
EXAMPLES = 5


def page_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def examples(name: str, local_mig: LocalMig) -> list[str]:
    commands = local_mig.commands(page_of(name))
    return [line for line in commands if line.startswith(f"mig {name} ")][:EXAMPLES]


def loaded(name: str) -> Module[Any]:
    try:
        return load_module(name)
    except ModuleUnknown as error:
        pytest.skip(f"{error}")


@pytest.mark.parametrize("name", MODULES)
def test_the_table_of_options_is_the_declared_parameters(name: str) -> None:
    parameters = loaded(name).parameters
    table = page_of(name).partition("| option | key in the JSON |")[2].partition("\n\n")[0]

    documented = re.findall(r"^\| `([a-z0-9]+)` \|", table, re.MULTILINE)

    declared = [one.name for one in parameters.members] + [one.name for one in parameters.switches]
    assert sorted(documented) == sorted(declared)


@pytest.mark.parametrize("name", MODULES)
def test_the_table_of_options_has_the_declared_json_keys(name: str) -> None:
    parameters = loaded(name).parameters
    table = page_of(name).partition("| option | key in the JSON |")[2].partition("\n\n")[0]

    documented = dict(re.findall(r"^\| `([a-z0-9]+)` \| `([a-z0-9.]+)` \|", table, re.MULTILINE))

    declared = {one.name: f"{one.group}.{one.key}" if one.group else one.key for one in parameters.members}
    assert documented == declared


@pytest.mark.parametrize("name", MODULES)
def test_a_page_begins_with_five_examples(name: str, local_mig: LocalMig) -> None:
    before_the_reference = page_of(name).partition("## Parameters")[0]

    commands = [line for line in local_mig.commands(before_the_reference) if line.startswith(f"mig {name} ")]

    assert len(commands) == EXAMPLES


def test_the_five_examples_of_file_find_what_they_look_for(local_mig: LocalMig) -> None:
    loaded("file")
    local_mig.put("/etc/shadow", "daemon:*:\nroot:$6$:\n")
    local_mig.put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA mallory@example.net\n")
    local_mig.put("/srv/known.bin", "MIG example\n" * 8192)
    local_mig.put("/usr/bin/new", "#!/bin/sh\n", mode=0o4755)
    local_mig.put("/etc/ssh/sshd_config", "# PermitRootLogin no\n")
    expected = (
        "/etc/shadow",
        "/root/.ssh/authorized_keys",
        "/srv/known.bin",
        "/usr/bin/new",
        "/etc/ssh/sshd_config",
    )

    for line, path in zip(examples("file", local_mig), expected, strict=True):
        printed, found = local_mig.ask(line, below_root=True)

        assert found, line
        assert [row.split(" ")[1] for row in printed] == [f"{local_mig.root}{path}"], line


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_the_five_examples_of_pkg_are_answered(number: int, local_mig: LocalMig) -> None:
    loaded("pkg")
    line = examples("pkg", local_mig)[number]
    local_mig.put("/srv/app/package.json", "{}")
    local_mig.put("/host/var/lib/dpkg/status", "")

    printed, found = local_mig.ask(line, below_root=True)

    assert bool(printed) or not found


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_the_five_examples_of_memory_are_answered(number: int, local_mig: LocalMig) -> None:
    loaded("memory")
    line = examples("memory", local_mig)[number]

    # little of each process, because whatever runs here is looked at
    printed, found = local_mig.ask(line, "--maxlength", "4096")

    assert bool(printed) or not found
