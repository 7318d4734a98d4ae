"""Both spellings of a module's options, and the original's ways to write values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli import ask_options, exit_codes
from mig_core.cli.main import main
from mig_core.domain.target import parse_target

if TYPE_CHECKING:
    from pathlib import Path


RAISES = """
from mig_core.plugin.module import Module, ModuleInfo
from mig_core.plugin.parameters import Parameter, Parameters

class Raises(Module[str]):
    info = ModuleInfo(name="raises", summary="raises")
    parameters = Parameters(Parameter(name="x", key="x", help="anything"))

    def parse_parameters(self, raw, *, strict=True):
        return self.parameters.parse(raw, strict=strict).text("x")

    def run(self, parameters, context):
        raise ZeroDivisionError("by nothing")
"""


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


def test_help_tells_choices_limits_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    main(["file", "--help"])

    text = " ".join(capsys.readouterr().out.split())
    assert "(one of: name, size, mode, mtime, content, md5, sha1, sha2, sha3, type" in text
    assert "0 is all (default: 1000)" in text
    assert "A file must pass every filter (default: yes)" in text
    assert "found, notfound or all (default: found)" in text
    assert "(required; repeatable)" in text


@pytest.mark.parametrize("time", ["0s", "0h", "0ms"])
def test_no_time_at_all_is_refused(time: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["file", "-path", "/etc", "-name", "x", "-t", "local", "-e", time]) == exit_codes.USAGE
    assert f"-e: {time} is no time at all" in capsys.readouterr().err


def test_local_goes_with_no_other_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["file", "-path", "/etc", "-name", "x", "-t", "local", "-t", "web"]) == exit_codes.USAGE
    assert "-t: local is this machine alone" in capsys.readouterr().err


def test_two_targets_mean_the_agents_of_both() -> None:
    options = ask_options.chosen(
        {f"ask_{name}": None for name, *_ in ask_options.SPELLINGS} | {"ask_target": ["web*", "db", "web*"]}
    )

    target = parse_target(options.target("all", {"db": "tags.role='db' OR name='x'"}))

    assert target.expanded == "(name LIKE 'web%') OR ((tags.role='db' OR name='x'))"


def test_without_a_target_the_settings_one_is_asked() -> None:
    options = ask_options.chosen({f"ask_{name}": None for name, *_ in ask_options.SPELLINGS})

    assert options.target("status='online'", {}) == "status='online'"


def test_a_module_that_raises_is_a_failed_answer(tmp_path: Path) -> None:
    (tmp_path / "mig_raises.py").write_text(RAISES)
    info = tmp_path / "mig_plugin_raises-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mig-plugin-raises\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mig.modules]\nraises = mig_raises:Raises\n")
    program = "import sys; from mig_core.cli.main import main; sys.exit(main())"

    ran = subprocess.run(
        [sys.executable, "-c", program, "raises", "-t", "local", "-show", "all", "-x", "1"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == exit_codes.INCOMPLETE
    assert "ZeroDivisionError: by nothing" in ran.stdout
    assert "failed: 1 agent: ZeroDivisionError: by nothing" in ran.stderr


def test_parameters_are_checked_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["file", "-path", "/etc", "-name", "(", "-t", "local"])

    assert status == exit_codes.USAGE
    assert "mig: file: --name: '(' is not" in capsys.readouterr().err
