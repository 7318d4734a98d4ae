"""Tests of the module ``sysctl``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from mig_core.plugin.module import Context
from mig_core.testing.module_contract import ModuleContract
from mig_sysctl import SysctlModule
from mig_sysctl.facts import Facts

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult


class TestSysctlContract(ModuleContract):
    module = SysctlModule()
    good_parameters: ClassVar[dict[str, Any]] = {"name": ["^kernel"]}


def asked(**parameters: Any) -> ModuleResult:
    module = SysctlModule()
    return module.run(module.parse_parameters(parameters), Context(deadline=time.monotonic() + 10))


def test_a_parameter_has_its_value() -> None:
    result = asked(name=[r"^kernel\.ostype$"])

    assert list(SysctlModule().rows(result)) == [{"name": "kernel.ostype", "value": "Linux", "writable": False}]
    assert result.coverage.complete


def test_one_that_cannot_be_read_is_a_row_whose_value_is_not_known() -> None:
    result = asked(name=[r"^net\.ipv4\.route\.flush$"])

    assert list(SysctlModule().rows(result)) == [{"name": "net.ipv4.route.flush", "value": None, "writable": True}]
    assert not result.coverage.complete
    assert result.errors == ("net.ipv4.route.flush: Permission denied",)


def test_what_was_not_asked_for_is_not_read() -> None:
    assert asked(name=[r"^kernel\.os"]).coverage.examined == {"parameters": 2}


def test_a_long_value_is_cut_and_booked() -> None:
    result = asked(name=[r"^kernel\.ostype$"], longest=3)

    assert [row["value"] for row in SysctlModule().rows(result)] == ["Lin"]
    assert not result.coverage.complete


def test_the_environment_says_how_the_kernel_is_hardened() -> None:
    facts = Facts().mig_agent_environment({})

    assert facts["sysctl"]["randomize_va_space"] in ("0", "1", "2")
