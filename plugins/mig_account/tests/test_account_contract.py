"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_account import AccountModule
from mig_core.testing.module_contract import ModuleContract


class TestAccountContract(ModuleContract):
    module = AccountModule()
    good_parameters: ClassVar[dict[str, object]] = {"ask": ["all"]}
