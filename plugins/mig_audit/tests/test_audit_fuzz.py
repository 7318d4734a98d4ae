"""The targets of fuzzing on their seeds, without atheris: what they check holds, and they still fit the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parent.parent / "fuzz"


def target(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"audit_fuzz_{name}", FOLDER / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["decode", "rules"])
def test_everything_that_is_promised_holds_for_the_seeds(name: str) -> None:
    fuzzed: Any = target(name)
    seeds = fuzzed.seeds()

    for seed in [*seeds, b"", b"\n", b"\xff"]:
        fuzzed.check(seed)

    assert len(seeds) > 10


def test_it_holds_for_many_records_of_a_kind() -> None:
    decode: Any = target("decode")
    most = 0b1111

    for seed in decode.seeds()[::8]:
        decode.check(bytes([most]) + seed[1:])
