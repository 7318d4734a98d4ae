"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_sshkey import SshkeyModule


class TestSshkeyContract(ModuleContract):
    module = SshkeyModule()
    good_parameters: ClassVar[dict[str, object]] = {"paths": ["/etc/ssh"], "maxdepth": 2}
