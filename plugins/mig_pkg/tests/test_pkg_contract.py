from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_pkg import PkgModule


class TestPkgContract(ModuleContract):
    module: ClassVar[PkgModule] = PkgModule()
    good_parameters: ClassVar[object] = {
        "pkgmatch": {"matches": ["^bash$", "ssl"]},
        "vermatch": ">=1",
        "types": ["system", "python"],
    }
