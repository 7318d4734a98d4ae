from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_sigma import SigmaModule


class TestSigmaContract(ModuleContract):
    module: ClassVar[SigmaModule] = SigmaModule()
    good_parameters: ClassVar[dict[str, object]] = {"list": True}
