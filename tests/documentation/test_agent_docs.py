"""docs/agent.md against the program: settings, states, commands and the example ACL."""

from __future__ import annotations

import re
from pathlib import Path

from mig_core.config.agent import AgentSettings
from mig_core.config.loader import describe
from mig_core.domain.acl import read_acl
from mig_core.domain.command import ANSWERED

PAGE = (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8")


def test_every_setting_is_described_with_its_default_and_no_other() -> None:
    table = PAGE.partition("<!-- settings")[2].partition("<!-- end of settings")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \|([^|]*)\|", table, re.MULTILINE)
    described = {key: default.strip("` ") for key, default in rows}

    empty = {"None", "()", ""}
    actual = {key: "" if default in empty else default for key, _, default in describe(AgentSettings)}

    assert described == {key: {"False": "false", "True": "true"}.get(text, text) for key, text in actual.items()}


def test_every_state_an_agent_may_report_is_explained() -> None:
    for state in ANSWERED:
        assert f"| `{state}` |" in PAGE


def test_the_example_of_an_acl_is_one() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None

    acl = read_acl(example[1].encode())

    assert set(acl.entries) == {"default", "memory"}


def test_every_option_of_the_program_is_mentioned() -> None:
    from mig_core.agent.main import make_parser

    usage = make_parser().format_help()
    for word in re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", usage):
        if word not in ("-h", "--help", "--config", "--module", "--lines", "--version"):
            assert word in PAGE, word
