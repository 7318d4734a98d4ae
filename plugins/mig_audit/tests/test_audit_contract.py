from __future__ import annotations

from typing import ClassVar

from mig_audit import AuditModule
from mig_core.testing.module_contract import ModuleContract


class TestAuditContract(ModuleContract):
    module: ClassVar[AuditModule] = AuditModule()
    good_parameters: ClassVar[dict[str, object]] = {}
