"""The contract of every module."""

from __future__ import annotations

from typing import ClassVar

from mig_core.testing.module_contract import ModuleContract
from mig_timedrift import TimedriftModule


class TestTimedriftContract(ModuleContract):
    module = TimedriftModule()
    good_parameters: ClassVar[dict[str, object]] = {"drift": "5s", "servers": ["127.0.0.1:1"]}
