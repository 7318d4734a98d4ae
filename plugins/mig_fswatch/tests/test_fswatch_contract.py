from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_fswatch import FswatchModule


class TestFswatchContract(ModuleContract):
    module: ClassVar[FswatchModule] = FswatchModule()
    good_parameters: ClassVar[dict[str, object]] = {"baselineDiffers": True, "below": "/etc", "since": "24h"}
