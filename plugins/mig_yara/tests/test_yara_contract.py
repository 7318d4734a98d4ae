from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_yara import YaraModule


class TestYaraContract(ModuleContract):
    module = YaraModule()
    good_parameters: ClassVar[dict[str, object]] = {
        "rules": ['rule passwd : accounts { meta: author = "x" strings: $a = "root:" condition: $a }'],
        "paths": ["/etc/passwd"],
        "excerpts": 4,
    }


class TestYaraContractOfProcesses(ModuleContract):
    module = YaraModule()
    good_parameters: ClassVar[dict[str, object]] = {
        "rules": ["rule elf { strings: $a = { 7f 45 4c 46 } condition: $a }"],
        "processes": True,
        "names": ["/python[0-9.]*$"],
    }
