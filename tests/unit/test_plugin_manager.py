"""Finding and loading plugins: from real, installed metadata of distributions made for the test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import ModuleUnknown, PluginError
from mig_core.plugin import hooks
from mig_core.plugin.manager import PluginManager, installed, load_command, load_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODULE = """
from mig_core.domain.result import ModuleResult
from mig_core.plugin.module import Module, ModuleInfo
from mig_core.plugin.parameters import Parameters

class It(Module):
    info = ModuleInfo(name="{name}", summary="a test", api={api})
    parameters = Parameters()
    def parse_parameters(self, raw, *, strict=True):
        return None
    def run(self, parameters, context):
        return ModuleResult(True, True)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a distribution on the path: its metadata and one module file."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def one(distribution: str, entry_points: str, **files: str) -> None:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nSummary: sums up\n")
        (info / "entry_points.txt").write_text(entry_points)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
            made.append(name)

    yield one
    for name in made:
        sys.modules.pop(name, None)


def module(name: str, api: int = 1) -> str:
    return MODULE.format(name=name, api=api)


def test_an_installed_module_is_found_by_its_word(install: Callable[..., None]) -> None:
    install("mig-plugin-t1", "[mig.modules]\nt1 = t1_code:It\n", t1_code=module("t1"))

    assert load_module("t1").info.name == "t1"
    assert "t1" in PluginManager().names()


def test_a_broken_plugin_is_reported_and_the_others_go_on(install: Callable[..., None]) -> None:
    install("mig-plugin-t2", "[mig.modules]\nt2 = t2_code:It\n", t2_code="import no_such_thing_at_all\n")
    install("mig-plugin-t3", "[mig.modules]\nt3 = t3_code:It\n", t3_code=module("t3"))

    manager = PluginManager()

    assert "no_such_thing_at_all" in manager.failures["t2"]
    assert "t3" in manager.names()
    with pytest.raises(ModuleUnknown, match="cannot be loaded"):
        manager.module("t2")


def test_two_distributions_that_claim_one_name_are_both_refused(install: Callable[..., None]) -> None:
    install("mig-plugin-a", "[mig.modules]\nt4 = t4_code:It\n", t4_code=module("t4"))
    install("mig-plugin-b", "[mig.modules]\nt4 = t4_code:It\n")

    manager = PluginManager()

    assert "mig-plugin-a, mig-plugin-b" in manager.failures["t4"]
    assert "t4" not in manager.names()


def test_what_the_policy_does_not_allow_is_not_even_imported(install: Callable[..., None]) -> None:
    install("mig-plugin-t5", "[mig.modules]\nt5 = t5_code:It\n", t5_code="raise SystemExit('imported')\n")

    for manager in (PluginManager(allow=["file"]), PluginManager(deny=["t5"])):
        assert "t5" not in manager.failures
        with pytest.raises(ModuleUnknown, match="not allowed by the local policy"):
            manager.module("t5")
    assert "t5_code" not in sys.modules


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (module("other"), "must equal the entry point's name"),
        (module("t6", api=99), "version 99 of the module contract"),
        ("It = 3\n", "not a Module class"),
        ("from mig_core.plugin.module import Module as It\n", "cannot be made"),
    ],
)
def test_a_module_that_breaks_the_contract_is_refused(install: Callable[..., None], code: str, why: str) -> None:
    install("mig-plugin-t6", "[mig.modules]\nt6 = t6_code:It\n", t6_code=code)

    assert why in PluginManager().failures["t6"]


def test_an_unknown_module_says_what_to_install() -> None:
    with pytest.raises(ModuleUnknown) as unknown:
        load_module("nosuch")

    assert "pip install mig-plugin-nosuch" in unknown.value.next_step


def test_listing_imports_nothing(install: Callable[..., None]) -> None:
    install("mig-plugin-t7", "[mig.modules]\nt7 = t7_code:It\n", t7_code="raise SystemExit('imported')\n")

    (found,) = [one for one in installed("mig.modules") if one.name == "t7"]

    assert (found.distribution, found.version, found.summary) == ("mig-plugin-t7", "1.0", "sums up")


def test_hooks_are_called_on_every_plugin_and_a_misspelt_hook_is_refused(install: Callable[..., None]) -> None:
    good = (
        "from mig_core.plugin.hooks import hookimpl\n"
        "class It:\n    @hookimpl\n    def mig_agent_environment(self, environment):\n        return {'zone': 'a'}\n"
    )
    install("mig-plugin-h1", "[mig.agent]\nh1 = h1_code:It\n", h1_code=good)
    install("mig-plugin-h2", "[mig.agent]\nh2 = h2_code:It\n", h2_code=good.replace("mig_agent_env", "mig_agent_emv"))
    manager = PluginManager()

    called = manager.hooks("agent")

    assert called is not None
    assert called.mig_agent_environment(environment={}) == [{"zone": "a"}]
    assert "mig_agent_emvironment" in manager.failures["h2"]


def test_a_role_without_hooks_does_not_load_pluggy_for_nothing() -> None:
    assert PluginManager().hooks("server") is None


def test_a_plugins_command_is_loaded_by_its_word(install: Callable[..., None]) -> None:
    install("mig-plugin-c1", "[mig.cli]\nc1 = c1_code:app\n", c1_code="import typer\napp = typer.Typer()\n")

    assert type(load_command("c1")).__name__ == "Typer"
    with pytest.raises(PluginError, match="is not installed"):
        load_command("nosuch")


def test_the_hooks_stand_in_the_order_of_their_life() -> None:
    named = {
        role: [name for name in vars(specification) if name.startswith("mig_")]
        for role, specification in hooks.SPECIFICATIONS.items()
    }

    assert named == {"agent": ["mig_agent_environment", "mig_operation_finished"], "server": ["mig_api_routes"]}


def test_hooks_alone_import_no_module(install: Callable[..., None]) -> None:
    install("mig-plugin-t8", "[mig.modules]\nt8 = t8_code:It\n", t8_code="raise SystemExit('imported')\n")

    PluginManager().hooks("server")

    assert "t8_code" not in sys.modules
