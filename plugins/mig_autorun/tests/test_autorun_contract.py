"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_autorun import AutorunModule
from mig_core.testing.module_contract import ModuleContract


class TestAutorunContract(ModuleContract):
    module = AutorunModule()
    good_parameters: ClassVar[dict[str, object]] = {"kind": ["^cron"], "unpackaged": False}
