"""Both spellings of a module's options, and the original's ways to write values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mig_core.cli.main import main


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a local question of the module ``file`` found, run for real."""
    status = main(["file", "-t", "local", "--json", "-show", "all", *words])
    printed = capsys.readouterr()
    assert status in (0, 3), printed.err
    answer: dict[str, Any] = json.loads(printed.out)["answers"][0]
    return answer


def search(answer: dict[str, Any]) -> dict[str, Any]:
    echoed: dict[str, Any] = answer["results"][0]["elements"]["s1"][0]["search"]
    return echoed


def test_single_and_double_dashes_and_equals_signs_mean_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    spellings = [
        ("-path", "/etc", "-name", "^passwd$"),
        ("--path", "/etc", "--name", "^passwd$"),
        ("-path=/etc", "-name=^passwd$"),
        ("--path=/etc", "--name=^passwd$"),
    ]

    answers = [asked(capsys, *words)["results"][0]["elements"] for words in spellings]

    assert answers[0]["s1"][0]["file"] == "/etc/passwd"
    assert all(one == answers[0] for one in answers)


def test_a_value_may_begin_with_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(capsys, "-path", "/etc", "-name", "^passwd$", "-mode", "-rw")

    assert search(answer)["modes"] == ["-rw"]


@pytest.mark.parametrize("words", [("-matchany",), ("-matchall=false",), ("--no-matchall",)])
def test_a_boolean_takes_a_value_only_after_an_equals_sign(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    answer = asked(capsys, "-path", "/etc", "-maxdepth", "1", "-name", "^passwd$", "-name", "^group$", *words)

    rows = answer["results"][0]["elements"]["s1"]
    assert sorted(row["file"] for row in rows) == ["/etc/group", "/etc/passwd"]


def test_parameters_are_checked_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["file", "-path", "/etc", "-name", "(", "-t", "local"])

    assert status == 1
    assert "searches.s1.names[0]" in capsys.readouterr().err
