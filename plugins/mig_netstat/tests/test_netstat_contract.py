"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_netstat import NetstatModule


class TestNetstatContract(ModuleContract):
    module = NetstatModule()
    good_parameters: ClassVar[dict[str, object]] = {"ask": ["all"], "with": ["sent"]}


class TestClassicContract(ModuleContract):
    module = NetstatModule()
    good_parameters: ClassVar[dict[str, object]] = {
        "localip": ["127.0.0.0/8"],
        "listeningport": ["1"],
        "namespaces": True,
    }
