from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_file import FileModule


class TestFileContract(ModuleContract):
    module: ClassVar[FileModule] = FileModule()
    good_parameters: ClassVar[object] = {
        "searches": {
            "s1": {
                "paths": ["/etc"],
                "names": ["^passwd$"],
                "contents": ["^root:"],
                "options": {"matchall": True, "maxdepth": 1, "returnsha256": True},
            }
        }
    }
