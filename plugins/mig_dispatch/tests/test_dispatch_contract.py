from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_dispatch import DispatchModule


class TestDispatchContract(ModuleContract):
    module: ClassVar[DispatchModule] = DispatchModule()
    good_parameters: ClassVar[object] = {}
