"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_process import ProcessModule


class TestProcessContract(ModuleContract):
    module = ProcessModule()
    good_parameters: ClassVar[dict[str, object]] = {"name": ["^(python|pytest)"], "with": ["files", "ancestry"]}
