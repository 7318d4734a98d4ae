"""The shape of answers: facts about processes, lines, masking, books, and the process that searches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.errors import ParameterError
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context
from mig_endpoint.processes.proc import Proc
from mig_endpoint.processes.reasons import DEVICE, ENDED, KERNEL, ON_DISK
from mig_memory import MemoryModule, evaluation, reasons

if TYPE_CHECKING:
    from mig_endpoint.testing.targets import StartTarget

RESULT = ModuleResult(
    True,
    True,
    {
        "s1": [
            {
                "process": {"name": "/tmp/a", "pid": 7, "user": "root"},
                "search": {"names": ["a"], "options": {"matchall": True}},
            },
            {
                "process": {
                    "name": "[b]",
                    "pid": 8,
                    "user": "www",
                    "executable": "/tmp/b",
                    "deleted": True,
                    "container": "docker:0123456789ab",
                },
                "search": {"bytes": ["cafe"], "options": {}},
            },
        ],
        "s2": [{"process": {"name": "", "pid": 0}, "search": {"libraries": ["x\ny"], "options": {}}}],
    },
    {"processcount": 3, "memoryread": 9, "totalhits": 2, "failures": ["no way into 1"], "exectime": "1ms"},
    (),
    Coverage(False, {"processes": 3, "bytes": 9}, (Skipped("process of somebody else", 1, ("process 1",)),)),
)


def test_lines_are_the_originals_with_what_it_did_not_know_at_the_end() -> None:
    assert list(MemoryModule().lines(RESULT, found_only=False)) == [
        "/tmp/a [pid:7] in search 's1'",
        "[b] [pid:8] in search 's1' on checks byte='cafe'"
        " (deleted executable /tmp/b, container docker:0123456789ab, user www)",
        "0 match found in search 's2' on checks library='x\\x0ay'",
        "Failure: no way into 1",
        "Not looked at: 1 process of somebody else (process 1)",
        "The answer is not complete.",
        "Statistics: 3 processes checked, 2 matched, 1 failures, ran in 1ms.",
    ]
    assert len(list(MemoryModule().lines(RESULT, found_only=True))) == 2


LEAVES = st.none() | st.text() | st.integers()


@given(elements=st.recursive(LEAVES, lambda one: st.lists(one) | st.dictionaries(st.text(), one), max_leaves=8))
def test_lines_of_any_result_are_text_without_line_breaks(elements: Any) -> None:
    odd: Any
    for odd in (elements, {"s": [elements]}, {"s": [{"process": elements, "search": elements}]}):
        result = replace(RESULT, elements=odd, statistics=elements)
        assert all("\n" not in line for line in MemoryModule().lines(result, found_only=False))
        MemoryModule().mask(result)


def test_masking_hides_what_was_added_to_the_originals_answer() -> None:
    masked = json.dumps(MemoryModule().mask(RESULT).to_json())

    assert "/tmp/a" in masked
    assert not [word for word in ("www", "/tmp/b", "0123456789ab", "process 1", "no way") if word in masked]


def test_what_nobody_asked_for_leaves_an_answer_complete() -> None:
    tally = Tally()
    for reason in (reasons.ASKER, ENDED, DEVICE, KERNEL, ON_DISK):
        tally.skip(reason)

    assert tally.complete


def test_a_search_without_checks_is_refused_or_explained() -> None:
    module = MemoryModule()

    with pytest.raises(ParameterError, match="has no check"):
        module.parse_parameters({"searches": {"s": {}}})
    result = module.run(
        module.parse_parameters({"searches": {"s": {}}}, strict=False), Context(deadline=time.monotonic() + 9)
    )
    assert not result.coverage.complete
    assert result.errors


@pytest.mark.parametrize(
    ("search", "path"),
    [
        ({"bytes": ["abc"]}, r"bytes\[0\]"),
        ({"bytes": ["0xab"]}, r"bytes\[0\]"),
        ({"contents": ["("]}, r"contents\[0\]"),
        ({"names": [""]}, r"names\[0\]"),
        ({"names": ["a"], "options": {"offset": -1}}, "options.offset"),
        ({"names": ["a"], "options": {"maxdepth": 1}}, "options.maxdepth"),
    ],
)
def test_a_refusal_names_what_is_wrong(search: dict[str, Any], path: str) -> None:
    with pytest.raises(ParameterError, match=f"searches.s.{path}"):
        MemoryModule().parse_parameters({"searches": {"s": search}})


def test_a_label_has_letters_digits_dashes_and_underscores() -> None:
    with pytest.raises(ParameterError):
        MemoryModule().parse_parameters({"searches": {"a b": {"names": ["a"]}}})


def test_offset_and_maxlength_are_options_of_the_command_line() -> None:
    raw = MemoryModule.parameters.from_options({"name": ["x"], "offset": 4096, "maxlength": 10})

    assert raw == {"searches": {"s1": {"names": ["x"], "options": {"offset": 4096, "maxlength": 10, "matchall": True}}}}


def test_partial_answers_are_handed_over_while_looking() -> None:
    module = MemoryModule(partial_interval=0.0)
    seen: list[ModuleResult] = []

    last = module.run(
        module.parse_parameters({"searches": {"s": {"names": ["."]}}}),
        Context(deadline=time.monotonic() + 60, on_partial=seen.append),
    )

    assert seen
    assert not any(one.coverage.complete for one in seen)
    assert last.coverage.examined["processes"] >= seen[-1].coverage.examined["processes"]


@pytest.mark.parametrize("patterns", [1, 200])
def test_the_process_that_searches_stays_below_60_mib(patterns: int, start_target: StartTarget) -> None:
    """A target of 200 MiB, searched with one expression and with many."""
    target = start_target()
    target.do("m = bytearray(b'x') * (200 << 20)")
    name = re.escape(target.path)
    contents = [f"(?i)no[a-f]+thing{number}.{{1,40}}like this.*" for number in range(patterns)]
    raw = {"searches": {"s": {"names": [f"^{name}$"], "contents": contents}}}
    program = (
        "import json, sys, time\n"
        "from mig_core.plugin.module import Context\n"
        "from mig_memory import MemoryModule\n"
        "m = MemoryModule()\n"
        "r = m.run(m.parse_parameters(json.load(sys.stdin)), Context(deadline=time.monotonic() + 60))\n"
        "peak = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        "print(r.coverage.examined['bytes'], peak)\n"
    )

    printed = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(raw), capture_output=True, text=True, check=True
    ).stdout

    examined, resident = (int(word) for word in printed.split())
    assert examined >= 200 << 20
    assert resident < 60 << 10


def test_rows_are_limited_and_the_rest_is_counted() -> None:
    searches = MemoryModule().parse_parameters({"searches": {"s": {"names": [".", "/"]}}})
    tally = Tally()
    with Proc(tally) as proc:
        one = evaluation.Evaluation(searches, proc, tally, lambda: 60.0, max_rows=1)

        for _ in one.look_at_all():
            pass

    assert one.hits > 1
    assert sum(len(slot.hits) for slot in one.slots) == 1
    assert tally.skipped(reasons.FULL)
