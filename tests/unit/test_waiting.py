"""How long answers are waited for, and the words that a shell completes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import typer

from mig_core.cli.completion import complete_action, complete_agent, complete_target
from mig_core.cli.main import main
from mig_core.cli.waiting import OfflineWatch, Waiting, waiting_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("rule", "waiting"),
    [
        ("", Waiting()),
        ("found:1", Waiting(found=1)),
        ("95%", Waiting(percent=95)),
        ("20", Waiting(answers=20)),
    ],
)
def test_a_rule_says_when_it_is_enough(rule: str, waiting: Waiting) -> None:
    assert waiting_of(rule, offline=True) == waiting


@pytest.mark.parametrize("rule", ["101%", "found:0", "0", "some", "found:", "1.5%", "-3"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(typer.BadParameter):
        waiting_of(rule, offline=True)


def test_enough_is_counted_by_what_was_received() -> None:
    assert Waiting().enough(10, 10, 10) == ""
    assert Waiting(found=2).enough(9, 1, 10) == ""
    assert Waiting(found=2).enough(9, 2, 10) == "2 found something"
    assert Waiting(percent=95).enough(18, 0, 19) == ""
    assert Waiting(percent=95).enough(19, 0, 20) == "95% answered"
    assert Waiting(percent=100).enough(0, 0, 0) == ""
    assert Waiting(answers=3).enough(3, 0, 10) == "3 answered"


class Books:
    """A platform with one open command, whose agent is there or not."""

    def __init__(self, *, there: bool) -> None:
        self.there = there
        self.asked = ""

    def commands(self, action: str, **query: Any) -> list[dict[str, str]]:
        return [{"agent": "a" * 32}]

    def agents(self, *, target: str, **query: Any) -> list[dict[str, str]]:
        self.asked = target
        return [{"id": "a" * 32}] if self.there else []


ACTION = {"id": "x", "targeted": 2, "counts": {"success": 1, "sent": 1}}


@pytest.mark.parametrize("there", [True, False])
def test_nobody_is_waited_for_when_all_who_are_silent_are_offline(there: bool) -> None:
    books = Books(there=there)

    said = OfflineWatch(cast("Any", books), Waiting(offline=False)).nobody_left(ACTION)

    assert said == ("" if there else "1 who have not answered are offline")
    assert books.asked == f"id IN ('{'a' * 32}')"


def test_by_default_agents_that_are_offline_are_waited_for() -> None:
    assert OfflineWatch(cast("Any", Books(there=False)), Waiting()).nobody_left(ACTION) == ""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'api = "http://127.0.0.1:1"\nfingerprint = "{"A" * 40}"\n[macros]\nweb = "name LIKE \'web%\'"\n')
    monkeypatch.setenv("MIG_CONFIG", str(path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.mark.usefixtures("settings")
def test_macros_and_keys_of_targets_are_completed_without_a_platform() -> None:
    assert ("web", "name LIKE  web%") in complete_target("we")
    assert [word for word, _ in complete_target("os = 'linux' AND tag")] == ["os = 'linux' AND tags."]
    assert [word for word, _ in complete_target("al")] == ["all"]


@pytest.mark.usefixtures("settings")
def test_completion_is_silent_when_there_is_no_session(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete_action("01") == []
    assert complete_agent("we") == []
    assert complete_agent("'; --") == []
    assert capsys.readouterr() == ("", "")


HOSTILE = ["a$(id)", "b`id`", "c'; id; '", 'd"; id', "e|id", "f\n id", "g\\", "h:((x", "web1"]


@pytest.mark.usefixtures("settings")
def test_no_name_of_an_endpoint_reaches_the_shell_as_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """zsh evaluates what a program offers."""

    class Platform:
        def agents(self, **query: Any) -> list[dict[str, str]]:
            return [{"name": name, "state": "online"} for name in HOSTILE]

        def actions(self, **query: Any) -> list[dict[str, str]]:
            return [{"id": "0197f9f0-0000-7000-8000-000000000000", "name": name} for name in HOSTILE]

    monkeypatch.setattr("mig_core.cli.completion._client", Platform)

    offered = complete_action("")

    assert complete_agent("") == [("web1", "online")]
    assert len(offered) == len(HOSTILE) + 1
    assert not {one for pair in offered for text in pair for one in text} & set("$`'\"\\|;:()<>&\n")


@pytest.mark.parametrize(("word", "meant"), [("flie", "file"), ("resluts", "results"), ("actoins", "actions")])
def test_a_command_that_there_is_not_is_answered_with_the_nearest(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    assert f"Did you mean {meant}?" in capsys.readouterr().err
