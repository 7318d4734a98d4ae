"""``mig fswatch``: what the running module answers, and how the answer reads."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.result import ModuleResult
from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_fswatch import FswatchModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    StartWatch = Callable[..., AbstractContextManager[Any]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fanotify and inotify are Linux's")


def paths_of(result: ModuleResult) -> list[tuple[object, object]]:
    return [(row["change"], row["path"]) for row in FswatchModule().rows(result)]


@pytest.mark.parametrize("method", ["inotify"], indirect=True)
def test_recent_changes_and_differences_are_answered_each_with_its_own_meaning(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    file, made, back = (str(watched / name) for name in ("file", "made", "back"))
    for name in (file, back):
        with open(name, "w", encoding="ascii") as stream:
            stream.write("x")

    with start_watch(watched) as service:
        # Given: one file changed twice, one made, one changed and changed back
        for text in ("y", "z"):
            for name in (file, back):
                with open(name, "rb+", buffering=0) as stream:  # at once: no moment at which it is empty
                    stream.write(text.encode() if name == file or text == "y" else b"x")
            changed = 2 if text == "z" else 1
            service.wait_for(lambda count=changed: min(len(service.about(one)) for one in (file, back)) == count)
        (watched / "made").write_text("")
        service.told(made, "new")
        service.wait_for(lambda: service.last_status["changes"].get("new"))

        # When
        recent = service.handler({})
        one = service.handler({"below": file, "limit": 1})
        none = service.handler({"since": "24h", "change": ["owner"]})
        differs = service.handler({"baselineDiffers": True})
        again = service.handler({"baselineDiffers": True, "rehash": True})
        late = service.handler({"baselineDiffers": True, "seconds": 0})

    # Then
    assert paths_of(recent)[0] == ("new", made)
    assert sorted(paths_of(recent)) == sorted([("changed", file)] * 2 + [("changed", back)] * 2 + [("new", made)])
    assert recent.coverage.complete
    assert len(paths_of(one)) == 1
    assert not one.coverage.complete
    assert not none.found
    assert paths_of(differs) == [("times", back), ("changed", file), ("new", made)]
    assert paths_of(again) == paths_of(differs)
    assert again.coverage.examined["bytes"] == 2
    assert differs.coverage.complete
    assert not late.coverage.complete
    lines = list(FswatchModule().lines(recent, found_only=False))
    assert any(line.startswith("method=inotify baseline=20") for line in lines)
    assert "masked" in str(FswatchModule().mask(recent).elements)
    assert str(watched) not in str(FswatchModule().mask(recent))


def test_where_no_module_runs_the_question_fails_and_says_so() -> None:
    question = FswatchModule().parse_parameters({})

    result = FswatchModule().run(question, Context(deadline=time.monotonic() + 5))

    assert not result.success
    assert result.errors


@pytest.mark.parametrize(
    "raw", [{"since": "yesterday"}, {"below": "etc"}, {"change": ["gone"]}, {"limit": 0}, {"x": 1}, []]
)
def test_questions_that_mean_nothing_are_refused(raw: object) -> None:
    with pytest.raises(ParameterError):
        FswatchModule().parse_parameters(raw)


@pytest.mark.parametrize(
    "raw",
    [{}, {"baselineDiffers": True, "rehash": True}, {"below": "/etc", "since": "7d", "change": ["new"], "limit": 5}],
)
def test_a_question_reaches_the_running_module_as_it_was_asked(raw: dict[str, object]) -> None:
    question = FswatchModule().parse_parameters(raw)

    assert replace(FswatchModule().parse_parameters(question.to_json(60)), seconds=question.seconds) == question


def test_lines_of_a_hostile_answer_are_made_without_a_fault() -> None:
    result = ModuleResult(True, True, {"status": {"changes": 3, "problem": "\x1b[2J"}, "changes": [{"path": 7}, 3]})

    assert all("\x1b" not in line for line in FswatchModule().lines(result, found_only=False))


def test_changes_that_are_not_kept_any_more_are_counted_and_leave_a_longer_question_unanswered(
    watched: Path, start_watch: StartWatch
) -> None:
    with start_watch(watched, keep_changes=2) as service:
        for name in ("a", "b", "c"):
            (watched / name).write_text("")  # with content it might change once more
            service.told(watched / name, "new")
        service.wait_for(lambda: service.last_status["changes"].get("new") == 3)

        recent = service.handler({})
        long_ago = service.handler({"since": "24h"})

    assert (recent.coverage.complete, recent.coverage.skipped[0].count) == (True, 1)
    assert not long_ago.coverage.complete
    assert "keep_changes" in long_ago.coverage.skipped[0].reason
