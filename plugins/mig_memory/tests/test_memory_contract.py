"""The module keeps the contract of all modules."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_memory import MemoryModule


class TestMemoryContract(ModuleContract):
    module = MemoryModule()
    good_parameters: ClassVar = {
        "searches": {
            "s1": {
                "names": ["^/no/such/program$"],
                "libraries": ["libc"],
                "contents": ["s[e]cret"],
                "bytes": ["CAFE"],
                "options": {"matchall": True, "offset": 4096, "maxlength": 1 << 64, "logfailures": True},
            },
            "s2": {"names": ["bash$", "python"], "libraries": ["libpython"]},
        }
    }
