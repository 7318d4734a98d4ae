"""Rules in the memory of processes: copies of the interpreter that fill their memory as told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_yara import YaraModule, reasons

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult
    from mig_endpoint.testing.targets import StartTarget

RULE = """
rule both { strings: $a = "alphaomega" $b = "bravowhisky" fullword condition: all of them }
rule sized { strings: $a = "alphaomega" condition: $a and filesize > 1 }
"""


def rows(result: ModuleResult) -> list[dict[str, Any]]:
    return list(YaraModule().rows(result))


def test_texts_in_different_mappings_of_a_process_are_one_match(start_target: StartTarget, ask: Any) -> None:
    target, other = start_target("planted"), start_target("bystander")
    target.do("m = mmap.mmap(-1, 1 << 16, OWN)")
    target.do("n = mmap.mmap(-1, 64 << 20, OWN)")
    target.do(f"put(m, 4090, {'alphaomega'[::-1]!r})")  # across a page
    target.do(f"put(n, 50 << 20, {'bravowhisky'[::-1]!r})")
    other.do("m = mmap.mmap(-1, 1 << 16, OWN)")
    other.do(f"put(m, 4090, {'alphaomega'[::-1]!r})")
    address = target.number("ctypes.addressof(ctypes.c_char.from_buffer(m))")
    before = target.resident()

    result = ask(RULE, processes=True, names=["/(planted|bystander)$"], excerpts=4)

    (row,) = rows(result)
    assert (row["pid"], row["process"], row["rule"]) == (target.pid, target.path, "both")
    assert row["patterns"] == ["$a=1", "$b=1"]
    assert row["matches"][0] == f"$a@{address + 4090:#x}:10"
    assert row["excerpts"][0] == f"$a={b'alph'.hex()}"
    assert result.coverage.examined["processes"] == 2
    assert target.resident() - before < 1 << 20


def test_a_rule_that_cannot_be_asked_of_memory_is_named_in_the_answer(start_target: StartTarget, ask: Any) -> None:
    start_target("planted")

    result = ask(RULE, processes=True, names=["/planted$"])

    told = {one.reason: one.examples for one in result.coverage.skipped}
    assert told[reasons.NOT_IN_PIECES.text] == ("sized: its condition has 'filesize'",)
    assert not result.coverage.complete


def test_time_that_ran_out_is_booked(start_target: StartTarget, ask: Any) -> None:
    start_target("planted")

    result = ask(RULE, processes=True, names=["/planted$"], seconds=-1)

    assert not result.coverage.complete
